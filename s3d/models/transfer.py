"""One address into one file: resumed where it was cut, bounded, never glued from two versions."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal
from urllib.error import HTTPError, URLError
from urllib.request import Request, build_opener

from s3d import __version__
from s3d.errors import InputError
from s3d.files import show_path, write_json
from s3d.web import Redirects, reason_of

RETRIES = 4
BACKOFF_SECONDS = 0.5
"""The wait before the first retry; it doubles each time."""
TIMEOUT_SECONDS = 20.0
MAX_BYTES = 2 << 30
"""The most that is taken of a file, whatever its server says."""

_CHUNK_BYTES = 1 << 18
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")
Progress = Callable[[int, int], None]
"""Takes the bytes there are and the bytes there will be, 0 where that is not known."""
Kind = Literal["cut", "stale", "unreachable", "final"]


@dataclass(frozen=True)
class Transfer:
    """Name what is to be fetched, and where to.

    Attributes:
        url: An http(s) address.
        part: The file to fill; what lies there already is gone on with. Beside it lies a note that
            says of what it is a part.
        size_bytes: How large the whole is, where known.
        is_checked: Whether a digest is compared afterwards.
        tell: Told of the progress.
    """

    url: str
    part: Path
    size_bytes: int | None
    is_checked: bool
    tell: Progress

    @property
    def note(self) -> Path:
        """Where the note lies."""
        return self.part.with_name(f"{self.part.name}.json")


class Trouble(Exception):  # noqa: N818
    """Say why the whole file did not come, and so whether another request may bring it."""

    def __init__(self, reason: str, kind: Kind = "final") -> None:
        super().__init__(reason)
        self.kind = kind


def fill_part(transfer: Transfer) -> None:
    """Fill the part, in as many requests as that takes.

    Raises:
        Trouble: The whole did not come. What came is kept.
        InputError: The disk will not take it. What came is kept.
    """
    attempt = 0
    while True:
        try:
            return _request(transfer)
        except Trouble as trouble:
            # A line that was there a moment ago may come back; one that never was will not.
            is_lost = trouble.kind == "unreachable" and attempt == 0
            if trouble.kind == "final" or is_lost or attempt >= RETRIES:
                raise
            if trouble.kind == "stale":
                drop_part(transfer)
        time.sleep(BACKOFF_SECONDS * 2**attempt)
        attempt += 1


def measure_part(transfer: Transfer) -> tuple[int, int | None]:
    """Return how many bytes there are, and how many there will be or None."""
    return size_of(transfer.part), _read_note(transfer).get("total") or transfer.size_bytes


def move_part(transfer: Transfer, place: Path) -> None:
    """Rename the part into its place; raises InputError where that cannot be."""
    with writing(transfer.part):
        transfer.note.unlink(missing_ok=True)
        transfer.part.replace(place)


def drop_part(transfer: Transfer) -> None:
    """Remove the part and its note; raises InputError where that cannot be."""
    with writing(transfer.part):
        transfer.part.unlink(missing_ok=True)
        transfer.note.unlink(missing_ok=True)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the disk's errors into one line."""
    try:
        yield
    except OSError as error:
        raise InputError(
            show_path(
                f"{path}: cannot be written ({reason_of(error)}). Free some room or let S3D_HOME "
                "name another folder. A download that has begun goes on from where it is."
            )
        ) from None


def size_of(path: Path) -> int:
    """Return a file's bytes, 0 where it is missing."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _request(transfer: Transfer) -> None:
    """Ask for what is missing and append it to the part."""
    note = _read_note(transfer)
    can_resume = note.get("validator") or (note and transfer.is_checked)
    have = size_of(transfer.part) if can_resume else 0
    if have and have == note["total"]:
        return  # Killed between its last byte and its renaming.
    headers = {"User-Agent": f"s3d/{__version__}"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if note["validator"]:
            headers["If-Range"] = note["validator"]
    with _open(transfer.url, headers) as response:
        have, total = _measure(transfer, response, note, have)
        _check_total(transfer, total, have)
        with writing(transfer.part), transfer.part.open("ab" if have else "wb", 0) as file:
            if not have:
                # Only after the old part is emptied: it must never be taken for the new file's.
                kept = {"url": transfer.url, "validator": _validator(response), "total": total}
                write_json(transfer.note, kept)
            _receive(transfer, response, file, have, total)
            os.fsync(file.fileno())


def _open(url: str, headers: dict[str, str]) -> http.client.HTTPResponse:
    try:
        response: http.client.HTTPResponse = build_opener(Redirects).open(
            Request(url, headers=headers), timeout=TIMEOUT_SECONDS
        )
    except HTTPError as error:
        error.close()
        kind: Kind = "final"
        if error.code >= 500 or error.code == 429:
            kind = "cut"
        elif error.code == 416 and "Range" in headers:
            kind = "stale"
        raise Trouble(f"the server answers {error.code} {error.msg[:300]}", kind) from None
    except (URLError, TimeoutError, http.client.InvalidURL, ValueError) as error:
        raise Trouble(f"no connection: {reason_of(error)}", "unreachable") from None
    except (OSError, http.client.HTTPException) as error:
        raise Trouble(f"the connection was cut: {reason_of(error)}", "cut") from None
    return response


def _measure(
    transfer: Transfer, response: http.client.HTTPResponse, note: dict[str, Any], have: int
) -> tuple[int, int | None]:
    """Return how much of the part counts, and the bytes of the whole file or None."""
    encoding = response.headers.get("Content-Encoding", "identity").lower()
    if encoding != "identity":
        raise Trouble(f"the server sends it encoded as {encoding[:50]}, unasked")
    if not transfer.is_checked and response.headers.get_content_type() == "text/html":
        raise Trouble("the server sends a web page, not the file")
    if response.status == 200:
        return 0, transfer.size_bytes if response.length is None else response.length
    span = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if response.status != 206 or not have:
        raise Trouble(f"the server answers {response.status}, not 200")
    if span is None or int(span[1]) != have or note["total"] not in (None, int(span[2])):
        raise Trouble("the server sends another range than asked for", "stale")
    if note["validator"] and _validator(response) not in ("", note["validator"]):
        raise Trouble("the file on the server has changed", "stale")
    return have, int(span[2])


def _validator(response: http.client.HTTPResponse) -> str:
    """Return what tells this file from a later one at the same address, or ""."""
    tag = response.headers.get("ETag", "")
    # A weak tag, W/"...", does not promise the same bytes.
    return tag if tag.startswith('"') else response.headers.get("Last-Modified", "")


def _check_total(transfer: Transfer, total: int | None, have: int) -> None:
    if total is None:
        return
    if total > MAX_BYTES or transfer.size_bytes not in (None, total):
        needed = transfer.size_bytes or f"at most {MAX_BYTES}"
        raise Trouble(f"the server announces {total} bytes; needed are {needed}")
    folder = transfer.part.parent
    try:
        free_bytes = shutil.disk_usage(folder).free
    except OSError:
        return
    if free_bytes < total - have:
        raise InputError(
            f"{show_path(folder)}: the download needs {total - have} more bytes and {free_bytes} "
            "are free. Free some room or let S3D_HOME name another folder."
        )


def _receive(
    transfer: Transfer,
    response: http.client.HTTPResponse,
    file: IO[bytes],
    have: int,
    total: int | None,
) -> None:
    limit = MAX_BYTES if total is None else total
    transfer.tell(have, total or 0)
    while data := _read(response):
        if have + len(data) > limit:
            file.truncate(0)
            raise Trouble(f"the server sends more than {limit} bytes")
        rest = memoryview(data)
        while rest:
            rest = rest[file.write(rest) :]
        have += len(data)
        transfer.tell(have, total or 0)
    if total is not None and have < total:
        raise Trouble("the connection was cut", "cut")


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        # Not read(): it would lose what came before an error.
        return response.read1(_CHUNK_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise Trouble(f"the connection was cut: {reason_of(error)}", "cut") from None


def _read_note(transfer: Transfer) -> dict[str, Any]:
    """Return what is known of the part, or {} where it is of another file."""
    try:
        note = json.loads(transfer.note.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(note, dict) or note.get("url") != transfer.url:
        return {}
    validator, total = note.get("validator"), note.get("total")
    is_sound = isinstance(validator, str) and isinstance(total, int | None)
    return {"validator": validator, "total": total} if is_sound else {}
