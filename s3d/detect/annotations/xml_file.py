"""XML that people bring, read without what makes XML dangerous: DTDs and entities."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from s3d.errors import InputError
from s3d.files import show_path

MOST_BYTES = 512 << 20
MOST_LEVELS = 32


class _Refused(Exception):  # noqa: N818 - it never leaves this module
    pass


def read_xml(path: Path) -> Element:
    """Return the root of an XML file.

    Raises:
        InputError: It cannot be read, is no XML, is too large, or has a DTD.
    """
    shown = show_path(path)
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise InputError(f"{shown}: cannot be read ({error.strerror}). Check the path.") from None
    if len(content) > MOST_BYTES:
        raise InputError(f"{shown}: is larger than {MOST_BYTES >> 20} MiB. Export it in pieces.")
    try:
        return _parse(content)
    except expat.ExpatError as error:
        reason = f"line {error.lineno}: {expat.ErrorString(error.code)}"
    except (_Refused, LookupError, ValueError) as error:
        reason = str(error)
    raise InputError(f"{shown}: is no XML that is read ({reason}). Export it again.")


def _parse(content: bytes) -> Element:
    builder, depth = TreeBuilder(), 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MOST_LEVELS:
            raise _Refused("nested too deeply")
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    def refuse(*_: object) -> None:
        raise _Refused("it has a DTD, which no export has")

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.Parse(content, True)
    return builder.close()
