"""Compiling `kernels.c` for the processor that is here, once, into the cache folder."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import threading
from pathlib import Path

from s3d.errors import InputError
from s3d.files import cache_folder, make_folder, write_atomically

SOURCE = Path(__file__).with_name("kernels.c")
COMPILERS = ("cc", "gcc", "clang")
COMMON_FLAGS = ("-std=gnu11", "-O3", "-shared", "-fPIC", "-w")
TRIED_FLAGS = (("-march=native", "-fopenmp"), ("-mcpu=native", "-fopenmp"), ("-march=native",), ())
"""What is added, the first that the compiler takes. Without OpenMP there is one thread."""
COMPILE_SECONDS = 120.0

_lock = threading.Lock()


def load_kernels() -> ctypes.CDLL | None:
    """Return the compiled kernels, or None where there is no C compiler that can make them.

    The first call on a machine compiles for some seconds. What it makes is kept under a name that
    hashes the source, the compiler and the processor, so a change of any makes it anew.
    """
    with _lock:
        return _load_once()


@functools.cache
def _load_once() -> ctypes.CDLL | None:
    compiler = find_compiler()
    if compiler is None:
        return None
    try:
        return ctypes.CDLL(str(compile_kernels(compiler)))
    except (InputError, OSError):
        # No room, no permission, or a compiler that cannot: other engines do without.
        return None


def find_compiler() -> str | None:
    """Return the path of a C compiler, or None. CC is asked first."""
    if os.name != "posix":
        return None
    wanted = os.environ.get("CC")
    names = (wanted, *COMPILERS) if wanted else COMPILERS
    return next((path for path in map(shutil.which, names) if path), None)


def compile_kernels(compiler: str) -> Path:
    """Return the compiled kernels, after compiling them if no earlier run did.

    Args:
        compiler: Path of a C compiler.

    Raises:
        InputError: The cache folder cannot be written to, is open to others, or the compiler fails.
    """
    folder = cache_folder() / "native"
    path = folder / f"kernels-{_fingerprint(compiler)}.so"
    if not folder.exists():
        make_folder(folder)
        folder.chmod(0o700)  # whatever the user's mask
    if not path.exists():
        write_atomically(path, lambda beside: _compile_and_try(compiler, beside))
    _check_ours(folder)
    _check_ours(path)
    return path


def _compile_and_try(compiler: str, to: Path) -> None:
    from s3d.infer.native.trial import passes_trial

    _compile(compiler, to)
    if not passes_trial(to):
        raise InputError(f"what {compiler} makes of {SOURCE.name} fails. Set CC to a C compiler.")


def _compile(compiler: str, to: Path) -> None:
    for flags in TRIED_FLAGS:
        command = [compiler, *COMMON_FLAGS, *flags, str(SOURCE), "-o", str(to)]
        if _run(command) is not None:
            to.chmod(0o700)
            return
    raise InputError(f"{compiler} cannot compile {SOURCE.name}. Set CC to a C compiler.")


def _run(command: list[str]) -> str | None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=COMPILE_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def _fingerprint(compiler: str) -> str:
    parts = (SOURCE.read_bytes(), _run([compiler, "--version"]), _processor(), COMMON_FLAGS)
    digest = hashlib.sha256(repr((*parts, TRIED_FLAGS)).encode())
    return digest.hexdigest()[:24]


def _processor() -> str:
    """Return what the processor can do: a cache folder may be shared by unlike machines."""
    described = Path("/proc/cpuinfo")
    lines = described.read_text().splitlines() if described.exists() else []
    flags = {line for line in lines if line.startswith(("flags", "Features", "model name"))}
    return repr((platform.machine(), platform.processor(), sorted(flags)))


def _check_ours(path: Path) -> None:
    """Check that nobody else could have put code there for us to run."""
    state = path.stat()
    if state.st_uid != os.getuid() or state.st_mode & 0o022:
        raise InputError(f"{path} can be written by others. Take their permission with `chmod`.")
