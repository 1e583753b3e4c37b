"""How data are named on the command line: `PATH?key=value` or `NAME:DIR?key=value&...`."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from s3d.data.paths import show_path
from s3d.errors import InputError

_NAMED = re.compile(r"([a-z][a-z0-9_]+):(.*)", re.DOTALL)
COMMON_KEYS = ("part",)
"""Keys that any source takes."""
ELSEWHERE = ("shards",)
"""Names whose place may be other than a folder: a pattern of files, or an address on the web."""


@dataclass(frozen=True)
class Address:
    """Name a source of videos.

    Attributes:
        text: As it was given.
        name: Of the data set; empty for a plain folder or CSV.
        place: The folder or file.
        options: What stands behind the question mark.
    """

    text: str
    name: str
    place: str
    options: Mapping[str, str]

    @property
    def folder(self) -> Path:
        """Return the place as a path."""
        return Path(self.place)

    def with_option(self, key: str, value: object) -> str:
        """Return the text that names the same source with an option changed."""
        options = {**self.options, key: str(value)}
        tail = "&".join(f"{k}={v}" for k, v in options.items())
        return f"{self.name}:{self.place}?{tail}" if self.name else f"{self.place}?{tail}"


def parse_address(text: str, datasets: Mapping[str, tuple[str, ...]]) -> Address:
    """Take the name of a source apart.

    Args:
        text: A path that exists is taken as it is, whatever it looks like.
        datasets: The keys that each named data set takes.

    Raises:
        InputError: The name or a key is unknown, a key stands twice, or a value is missing.
    """
    plain = Address(text, "", text, {})
    if _exists(text):
        return plain
    head, mark, tail = text.rpartition("?")
    address = replace(plain, place=head) if mark and "=" in tail else plain
    match = None if _exists(address.place) else _NAMED.fullmatch(address.place)
    if match:
        address = replace(address, name=match[1], place=os.path.expanduser(match[2]))  # noqa: PTH111
        _check_name(address, datasets)
    if address.place == text:
        return address
    known = (*COMMON_KEYS, *datasets.get(address.name, ()))
    options = _parse_options(tail, known, text) if mark and "=" in tail else {}
    return replace(address, options=options)


def _check_name(address: Address, datasets: Mapping[str, tuple[str, ...]]) -> None:
    shown = show_path(address.text)
    if address.name not in datasets:
        near = difflib.get_close_matches(address.name, datasets, n=2)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        if address.name in ("http", "https"):
            hint = " Shards on the web are named shards:https://HOST/DIR."
        raise InputError(
            f"{shown}: unknown data set {address.name!r}.{hint} Known: {', '.join(datasets)}."
        )
    if not address.place:
        raise InputError(
            f"{shown}: the folder is missing; write {address.name}:DIR, as in "
            f"{address.name}:/data/{address.name}."
        )
    if address.name not in ELSEWHERE and not Path(address.place).is_dir():
        raise InputError(f"{shown}: no such folder {show_path(address.place)!r}. Check the path.")


def _parse_options(tail: str, known: tuple[str, ...], text: str) -> dict[str, str]:
    shown = show_path(text)
    options: dict[str, str] = {}
    for item in tail.split("&"):
        key, _, value = item.partition("=")
        if key not in known:
            raise InputError(f"{shown}: unknown key {key!r}. Known here: {', '.join(known)}.")
        if key in options:
            raise InputError(f"{shown}: {key} is given twice. Give it once.")
        if not value:
            raise InputError(f"{shown}: {key} has no value; write {key}=VALUE.")
        options[key] = value
    return options


def _exists(path: str) -> bool:
    # os.path, since Path.exists raises for a name too long to be one.
    return os.path.exists(path)  # noqa: PTH110
