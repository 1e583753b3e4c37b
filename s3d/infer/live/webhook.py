"""Events sent to a web server, by a thread that nobody waits for."""

from __future__ import annotations

import contextlib
import http.client
import json
import queue
from collections.abc import Callable
from threading import Thread
from typing import Any
from urllib.request import Request, build_opener

from s3d import __version__
from s3d.errors import InputError
from s3d.files import show_path
from s3d.web import Redirects, is_offline, is_web_address, reason_of

MOST_WAITING = 100
"""Events kept for a server that is slow; more are dropped, the oldest first."""
TIMEOUT_SECONDS = 5.0
CLOSE_SECONDS = 5.0


class Webhook:
    """POST values as JSON to an address; what fails is counted and never ends the work.

    Attributes:
        sent: How many the server took.
        lost: How many were dropped, or refused.
    """

    def __init__(self, url: str, tell: Callable[[str], None]) -> None:
        """Set up.

        Args:
            url: An http(s) address.
            tell: Told in a line that the server fails, once until it works again.

        Raises:
            InputError: It is none, or S3D_OFFLINE forbids it.
        """
        if not is_web_address(url):
            raise InputError(
                f"--webhook {show_path(url)}: is no http(s) address without a user name. "
                "Write http://host/path."
            )
        if is_offline():
            raise InputError("--webhook: S3D_OFFLINE forbids the network. Unset it.")
        self.url, self.tell = url, tell
        self.sent = self.lost = 0
        self._is_failing = False
        self._waiting: queue.Queue[dict[str, Any] | None] = queue.Queue(MOST_WAITING)
        self._thread = Thread(target=self._run, name="s3d-watch-webhook", daemon=True)
        self._thread.start()

    def send(self, values: dict[str, Any]) -> None:
        """Send values when their turn comes; never waits."""
        self._put(values)

    def close(self) -> None:
        """Send what waits, for a few seconds at most."""
        self._put(None)
        self._thread.join(CLOSE_SECONDS)

    def _put(self, values: dict[str, Any] | None) -> None:
        while True:
            try:
                return self._waiting.put_nowait(values)
            except queue.Full:
                with contextlib.suppress(queue.Empty):
                    self._waiting.get_nowait()
                    self.lost += 1

    def _run(self) -> None:
        while (values := self._waiting.get()) is not None:
            try:
                self._post(values)
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.lost += 1
                if not self._is_failing:
                    self.tell(f"webhook {show_path(self.url)}: {reason_of(error)}; going on")
                self._is_failing = True
            else:
                self.sent += 1
                self._is_failing = False

    def _post(self, values: dict[str, Any]) -> None:
        headers = {"Content-Type": "application/json", "User-Agent": f"s3d/{__version__}"}
        body = json.dumps(values).encode()
        request = Request(self.url, data=body, headers=headers, method="POST")
        with build_opener(Redirects).open(request, timeout=TIMEOUT_SECONDS) as response:
            response.read(1)
