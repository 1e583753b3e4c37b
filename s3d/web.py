"""What every request to a web server shares: which addresses are asked, where redirects lead."""

from __future__ import annotations

import os
from email.message import Message
from typing import IO
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request


def is_web_address(url: str) -> bool:
    """Return whether this is http(s)://host/path without a user name, which errors would show."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc


def is_offline() -> bool:
    """Return whether S3D_OFFLINE forbids the network."""
    return os.environ.get("S3D_OFFLINE", "") not in ("", "0")


def reason_of(error: Exception) -> str:
    """Return in a few words why something failed."""
    cause = getattr(error, "reason", error)
    text = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    return str(text)[:300]


class Redirects(HTTPRedirectHandler):
    """Follow redirects that stay on the web, and do not leave https."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> Request | None:
        """Return the request that goes on, or refuse as urllib does: with an HTTPError."""
        # urllib would read the body that comes with a redirect, however long it is.
        fp.close()
        scheme = urlsplit(newurl).scheme
        if scheme not in ("http", "https") or (req.type == "https" and scheme == "http"):
            raise HTTPError(newurl, code, f"and leads to {newurl}, not followed", headers, fp)
        # Python 3.10 does not know 308.
        code = 307 if code == 308 else code
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]

    http_error_308 = HTTPRedirectHandler.http_error_302
