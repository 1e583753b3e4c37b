"""Files on a web server read in parts: byte ranges, asked for again where a line breaks."""

from __future__ import annotations

import http.client
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, build_opener

from s3d import __version__
from s3d.errors import InputError
from s3d.files import show_path
from s3d.web import Redirects, is_offline, is_web_address, reason_of

RETRIES = 4
BACKOFF_SECONDS = 0.5
"""The wait before the first retry; it doubles each time."""
TIMEOUT_SECONDS = 20.0

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_CHUNK_BYTES = 1 << 20
_NOT_THERE = (403, 404, 410)
"""Storage that may not be listed answers 403 for what it lacks."""
Result = TypeVar("Result")


@dataclass(frozen=True)
class Piece:
    """Hold some bytes of a file.

    Attributes:
        content: The bytes; fewer than were asked for only where the file ends.
        total_bytes: Of the whole file.
        version: What tells this file from a later one at the same address, or "".
    """

    content: bytes
    total_bytes: int
    version: str


class _Passing(Exception):  # noqa: N818
    """Say why an answer did not come whole, though another request may bring it."""


def read_range(url: str, offset: int, size: int) -> Piece:
    """Read bytes of a file.

    Args:
        url: An http(s) address.
        offset: Of the first byte.
        size: How many, at least 1.

    Raises:
        InputError: The server does not give them, or the network is forbidden.
    """
    span = f"bytes={offset}-{offset + size - 1}"
    return _insist(url, lambda: _ask_range(url, span, offset, size))


def fetch_whole(url: str, most_bytes: int) -> bytes | None:
    """Return a file; None where the server has none.

    Args:
        url: An http(s) address.
        most_bytes: What it may hold.

    Raises:
        InputError: The server does not give it, or it is larger.
    """
    return _insist(url, lambda: _ask_whole(url, most_bytes))


def _insist(url: str, ask: Callable[[], Result]) -> Result:
    _check_allowed(url)
    reason = ""
    for attempt in range(RETRIES + 1):
        if attempt:
            time.sleep(BACKOFF_SECONDS * 2 ** (attempt - 1))
        try:
            return ask()
        except _Passing as trouble:
            reason = str(trouble)
    raise refusal(url, f"{reason}; asked {RETRIES + 1} times. Check the connection and run again.")


def refusal(url: str, text: str) -> InputError:
    """Return an error about an address, which names the host that was asked."""
    return InputError(show_path(f"{url}: {urlsplit(url).hostname}: {text}"))


def _check_allowed(url: str) -> None:
    if not is_web_address(url):
        # The address is not shown, as it may hold a password.
        raise InputError("an address of shards is not http(s)://host/path, without a user name.")
    if is_offline():
        raise refusal(url, "S3D_OFFLINE is set. Unset it, or copy the shards to this machine.")


def _ask_range(url: str, span: str, offset: int, size: int) -> Piece:
    with _open(url, {"Range": span}) as response:
        if response.status != 206:
            raise refusal(
                url,
                f"answers {response.status} where a part of the file was asked for: it knows no "
                "Range requests. Copy the shards to this machine or to a server that knows them.",
            )
        found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if not found:
            raise refusal(url, "sends a part of the file without saying which. Use another server.")
        first, last, total = (int(number) for number in found.groups())
        if first != offset or last != min(offset + size, total) - 1:
            raise refusal(url, f"sends bytes {first}-{last}, not {span[6:]}. Use another server.")
        wanted = last - first + 1
        content = _read(response, wanted)
        if len(content) != wanted:
            raise _Passing(f"the connection was cut after {len(content)} of {wanted} bytes")
        return Piece(content, total, _version(response))


def _ask_whole(url: str, most_bytes: int) -> bytes | None:
    try:
        response = _open(url, {})
    except FileNotFoundError:
        return None
    with response:
        if response.status != 200:
            raise refusal(url, f"answers {response.status}, not 200. Check the address.")
        announced = response.length
        if announced is not None and announced > most_bytes:
            raise refusal(url, f"sends {announced} bytes; at most {most_bytes} can be.")
        content = _read(response, most_bytes + 1)
        if len(content) > most_bytes:
            raise refusal(url, f"sends more than {most_bytes} bytes, which no index has.")
        if announced is not None and len(content) < announced:
            raise _Passing(f"the connection was cut after {len(content)} of {announced} bytes")
        return content


def _open(url: str, headers: dict[str, str]) -> http.client.HTTPResponse:
    """Send a request; a file that is not there is a FileNotFoundError where no range is asked."""
    sent = {"User-Agent": f"s3d/{__version__}", "Accept-Encoding": "identity", **headers}
    try:
        opener = build_opener(Redirects)
        response: http.client.HTTPResponse = opener.open(
            Request(url, headers=sent), timeout=TIMEOUT_SECONDS
        )
    except HTTPError as error:
        error.close()
        if error.code in _NOT_THERE and not headers:
            raise FileNotFoundError(url) from None
        said = f"answers {error.code} {str(error.msg)[:200]}"
        if error.code >= 500 or error.code == 429:
            raise _Passing(said) from None
        raise refusal(url, f"{said}. Check the address.") from None
    except (http.client.InvalidURL, ValueError) as error:
        raise refusal(url, f"{reason_of(error)}. Check the address.") from None
    except (URLError, OSError, http.client.HTTPException) as error:
        raise _Passing(f"no connection: {reason_of(error)}") from None
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        response.close()
        raise refusal(url, "sends it encoded, unasked. Use another server.")
    return response


def _read(response: http.client.HTTPResponse, most_bytes: int) -> bytes:
    """Return what comes, up to a limit, however much is announced."""
    parts, left = [], most_bytes
    try:
        while left and (data := response.read(min(left, _CHUNK_BYTES))):
            parts.append(data)
            left -= len(data)
    except (OSError, http.client.HTTPException) as error:
        raise _Passing(f"the connection was cut: {reason_of(error)}") from None
    return b"".join(parts)


def _version(response: http.client.HTTPResponse) -> str:
    """Return a name for this state of the file, or ""."""
    return (response.headers.get("ETag") or response.headers.get("Last-Modified") or "")[:200]
