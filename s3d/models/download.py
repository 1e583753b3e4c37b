"""Files that others published: fetched once, and used only as they were published.

They lie in `<cache folder>/weights`. Three variables steer it: S3D_HOME names the cache folder,
S3D_MIRROR a folder or an http(s) address to take files from, S3D_OFFLINE=1 forbids the network.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from s3d.errors import InputError
from s3d.files import cache_folder as cache_folder
from s3d.files import make_folder, show_path
from s3d.models.bar import Bar
from s3d.models.transfer import (
    Progress,
    Transfer,
    Trouble,
    drop_part,
    fill_part,
    measure_part,
    move_part,
    size_of,
    writing,
)
from s3d.web import is_offline, is_web_address, reason_of

WAIT_SECONDS = 0.2
"""How often a process looks whether another one has finished the same download."""

_CHUNK_BYTES = 1 << 20
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_DIGEST = re.compile(r"|sha256:[0-9a-f]{8,64}|git:[0-9a-f]{40}")


@dataclass(frozen=True)
class Remote:
    """A file that somebody published.

    Attributes:
        file: Its name in the cache and in a mirror, a plain file name.
        url: Where it is, or "" where it can only be fetched by hand.
        digest: "sha256:" and at least the first 8 hex digits, "git:" and the 40 of a git blob, or
            "" where nobody published one.
        size_bytes: Its size, where known.
        page: Where a person finds it.

    Raises:
        ValueError: The name or the digest is not of these forms.
    """

    file: str
    url: str
    digest: str
    size_bytes: int | None
    page: str

    def __post_init__(self) -> None:
        if not _FILE.fullmatch(self.file):
            raise ValueError(f"{self.file!r} is not a plain file name")
        if not _DIGEST.fullmatch(self.digest):
            raise ValueError(f"{self.digest!r} is neither sha256:<8 to 64 hex> nor git:<40 hex>")


def fetch_file(remote: Remote, progress: Progress | None = None) -> Path:
    """Return the verified local file, downloading it if needed.

    Args:
        remote: The file.
        progress: Told, as a download goes, of the bytes there are and the bytes there will be,
            0 where that is not known.

    Raises:
        InputError: It cannot be had, or is not the file that was published. What came of a cut
            download is kept, and the next call goes on from there.
    """
    place = cache_folder() / "weights" / remote.file
    if _exists(place):
        return _use(place, remote)
    mirror = os.environ.get("S3D_MIRROR", "")
    if mirror and "://" not in mirror:
        # Unlike Path's, this leaves a ~ that means nothing; no such folder is then found.
        return _use_mirror(Path(os.path.expanduser(mirror)).absolute(), remote)  # noqa: PTH111
    url = f"{mirror.rstrip('/')}/{quote(remote.file)}" if mirror else remote.url
    _check_fetchable(url, remote, place)
    try:
        make_folder(place.parent)
    except InputError as error:
        raise InputError(f"{error} S3D_HOME names it.") from None
    tell = progress or (lambda done, total: None)
    with _claim_part(place, remote.size_bytes or 0, tell) as part:
        # Whoever was waited for may have brought it.
        if not _exists(place):
            transfer = Transfer(url, part, remote.size_bytes, bool(remote.digest), tell)
            _download(transfer, remote, place)
    return _use(place, remote)


def fetch_files(remotes: Sequence[Remote]) -> list[Path]:
    """Return verified local files, with a bar for each download on a terminal.

    Args:
        remotes: The files; all are brought before any is used.

    Raises:
        InputError: As `fetch_file`.
    """
    paths = []
    for remote in remotes:
        bar = Bar(remote.file)
        try:
            paths.append(fetch_file(remote, bar.tell))
        finally:
            bar.close()
    return paths


def _refusal(text: str) -> InputError:
    return InputError(show_path(text))


def _exists(path: Path) -> bool:
    # os.path, unlike Path, answers where the folder may not be looked into.
    return os.path.exists(path)  # noqa: PTH110


def _use(path: Path, remote: Remote) -> Path:
    fault = _find_fault(path, remote)
    if fault:
        raise _refusal(
            f"{path}: not the file that was published: it {fault}. Delete it and run again, or "
            f"put the file from {remote.url or remote.page} in its place."
        )
    return path


def _use_mirror(folder: Path, remote: Remote) -> Path:
    path = folder / remote.file
    if not _exists(path):
        lack = "no such file" if folder.is_dir() else "no such folder"
        raise _refusal(
            f"{path}: {lack}; S3D_MIRROR names it. Put {remote.url or remote.page} there, or unset "
            "S3D_MIRROR."
        )
    return _use(path, remote)


def _find_fault(path: Path, remote: Remote) -> str:
    """Return how a file differs from what was published, or ""."""
    try:
        with path.open("rb") as file:
            size_bytes = os.fstat(file.fileno()).st_size
            if remote.size_bytes not in (None, size_bytes):
                return f"holds {size_bytes} bytes, not {remote.size_bytes}"
            if not remote.digest:
                return ""
            found = _digest(file, remote.digest.split(":")[0], size_bytes)
    except OSError as error:
        raise _refusal(
            f"{path}: cannot be read ({reason_of(error)}). Make it a readable file, or delete it."
        ) from None
    found = found[: len(remote.digest)]
    return "" if found == remote.digest else f"has {found}, not {remote.digest}"


def _digest(file: BinaryIO, kind: str, size_bytes: int) -> str:
    if kind == "sha256":
        state = hashlib.sha256()
    else:
        # Forgers can beat SHA-1; accidents cannot, and for some files nothing else was published.
        state = hashlib.sha1(b"blob %d\0" % size_bytes, usedforsecurity=False)
    while data := file.read(_CHUNK_BYTES):
        state.update(data)
    return f"{kind}:{state.hexdigest()}"


def _check_fetchable(url: str, remote: Remote, place: Path) -> None:
    lack = ""
    if is_offline():
        lack = "S3D_OFFLINE is set"
    elif not url:
        lack = "no program may download it"
    elif not is_web_address(url):
        # The address is not shown, as it may hold a password.
        lack = "its address or S3D_MIRROR is not http(s)://host/path, without a user name"
    if lack:
        raise _refusal(f"{remote.file}: not here, and {lack}. {_by_hand(remote, place)}")


def _by_hand(remote: Remote, place: Path) -> str:
    return (
        f"Fetch {remote.url or remote.page} by hand and put it at {place}, or let S3D_MIRROR name "
        f"a folder or http(s) address that holds {remote.file}."
    )


def _download(transfer: Transfer, remote: Remote, place: Path) -> None:
    try:
        fill_part(transfer)
    except Trouble as trouble:
        have, total = measure_part(transfer)
        kept = ""
        if have and transfer.part == _part_of(place):
            kept = f"{have} of {total or '?'} bytes are kept; the same command goes on from there. "
        raise _refusal(
            f"{remote.file}: {trouble} ({transfer.url}). {kept}{_by_hand(remote, place)}"
        ) from None
    fault = _find_fault(transfer.part, remote)
    if not fault:
        move_part(transfer, place)
        return
    drop_part(transfer)
    raise _refusal(
        f"{remote.file}: what {transfer.url} sent {fault}; it was removed. Run again; if this "
        f"stays, the published file has changed: see {remote.page}."
    )


def _part_of(place: Path) -> Path:
    return place.with_name(f".{place.name}.part")


@contextlib.contextmanager
def _claim_part(place: Path, total: int, tell: Progress) -> Iterator[Path]:
    """Yield a path to which this process alone writes.

    While another process downloads the same file, wait and tell of its progress. The lock is gone
    with the process that held it; its empty file stays, as removing it would let two hold it.
    """
    with writing(place.parent):
        lock = place.with_name(f".{place.name}.lock").open("ab")
    with lock:
        while (is_locked := _try_lock(lock)) is False:
            tell(size_of(_part_of(place)), total)
            time.sleep(WAIT_SECONDS)
        if is_locked:
            yield _part_of(place)
            return
        # Some shared file systems know no locks. A part of one's own then does, unresumed.
        with tempfile.TemporaryDirectory(prefix=".", dir=place.parent) as own:
            yield Path(own, place.name)


def _try_lock(file: BinaryIO) -> bool | None:
    """Return whether a file could be locked, or None where there are no locks."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:
        return None
    except OSError as error:
        return False if error.errno in (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES) else None
    return True
