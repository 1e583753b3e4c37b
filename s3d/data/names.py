"""Names of files and classes: their order, their spelling, and which are no videos."""

from __future__ import annotations

import os
import re
import unicodedata

# Endings that are certainly no video; an unknown one is tried, since libav knows hundreds.
_OTHER_ENDINGS = re.compile(
    r"\.(txt|csv|tsv|jsonl?|xml|ya?ml|md|html|pdf|log|ini|py|sh|zip|gz|tar|7z|rar|jpe?g|png|bmp|webp|"
    r"tiff?|svg|heic|db|npy|npz|pkl|pth?|h5|mat|safetensors|wav|mp3|flac|aac|m4a|opus|srt|vtt|ass|"
    r"sub|docx?|xlsx?|part|crdownload|tmp|bak|lnk)",
    re.IGNORECASE,
)


def natural_order(text: str) -> tuple[list[tuple[int, str]], str]:
    """Return a key that sorts "take 2" before "take 10"."""
    parts = re.split(r"([0-9]+)", text.casefold())
    return [(int(p), "") if i % 2 else (-1, p) for i, p in enumerate(parts)], text


def plain_name(name: str) -> str:
    """Return a name as text that can be stored: valid Unicode, composed as most systems do."""
    return unicodedata.normalize("NFC", os.fsencode(name).decode("utf-8", "replace"))


def on_one_line(label: str) -> str:
    """Return a label that prints on one line: line feeds and the like become spaces."""
    return "".join(" " if unicodedata.category(c) == "Cc" else c for c in label)


def is_hidden(name: str) -> bool:
    """Return whether a file or folder is one that systems keep for themselves."""
    return name.startswith(".") or name == "__MACOSX"


def reason_to_skip(name: str) -> str | None:
    """Return why a file of this name is no video; None where it may be one."""
    if is_hidden(name):
        return "hidden"
    ending = os.path.splitext(name)[1]  # noqa: PTH122 - of 300,000 names
    return f"{ending.lower()} is no video" if _OTHER_ENDINGS.fullmatch(ending) else None
