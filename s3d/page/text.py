"""How names and numbers are written, in a page and in a picture.

Names come from file systems and from strangers: they may hold markup, line breaks, bytes that are
no text, or marks that turn the reading direction of all that follows.
"""

from __future__ import annotations

import html
import math
import unicodedata

NONE = "–"  # noqa: RUF001 - an en dash: what is not known

# embeddings, overrides and isolates: they would reorder the text around them
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def visible(text: str) -> str:
    r"""Return the text with what cannot be seen or written shown as an escape, such as \x1b."""
    return "".join(_visible_character(character) for character in text)


def shorten(text: str, limit: int) -> str:
    """Return the text, its middle left out where it is longer than `limit`."""
    if len(text) <= limit:
        return text
    head = (limit - 1) // 2
    return f"{text[: limit - 1 - head]}…{text[len(text) - head :]}"


def escape(text: str) -> str:
    """Return any text made safe for a page, inside an element or a quoted attribute."""
    return html.escape(visible(text), quote=True)


def isolate(text: str, limit: int = 2000) -> str:
    """Return a name made safe for a page and kept from turning the text around it."""
    return f"<bdi>{escape(shorten(text, limit))}</bdi>"


def percent(share: float | None, digits: int = 1) -> str:
    """Return 0.875 as 87.5 %; a dash for None and nan."""
    if share is None or not math.isfinite(share):
        return NONE
    return f"{100 * share:.{digits}f}\u202f%"


def number(value: float | None) -> str:
    """Return a number in four digits; a dash for None, nan and inf as they are."""
    return NONE if value is None else f"{value:.4g}"


def plural(count: int, noun: str) -> str:
    """Return "1 clip", "2 clips", "1,200 clips", "2 classes"."""
    ending = "" if count == 1 else "es" if noun.endswith("s") else "s"
    return f"{count:,} {noun}{ending}"


def _visible_character(character: str) -> str:
    if character in _TURNING or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp"):
        return character.encode("unicode_escape").decode("ascii")
    return character
