"""C files of the package, compiled for the processor that is here, once, into the cache folder."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

from s3d.errors import InputError
from s3d.files import cache_folder, make_folder, write_atomically

COMPILERS = ("cc", "gcc", "clang")
COMMON_FLAGS = ("-std=gnu11", "-O3", "-shared", "-fPIC", "-w")
TRIED_FLAGS = (("-march=native", "-fopenmp"), ("-mcpu=native", "-fopenmp"), ("-march=native",), ())
"""What is added, the first that the compiler takes. Without OpenMP there is one thread."""
LIBRARIES = ("-lm",)
COMPILE_SECONDS = 120.0

Trial = Callable[[Path], bool]

_lock = threading.Lock()


def load_library(source: Path, trial: Trial | None = None) -> ctypes.CDLL | None:
    """Return a compiled file, or None where there is no C compiler that can make it.

    The first call on a machine compiles for some seconds. What it makes is kept under a name that
    hashes the source, the compiler and the processor, so a change of any makes it anew.

    Args:
        source: A C file of the package.
        trial: Says of what was made whether it works; what does not is not kept.
    """
    with _lock:
        return _load_once(source, trial)


@functools.cache
def _load_once(source: Path, trial: Trial | None) -> ctypes.CDLL | None:
    compiler = find_compiler()
    if compiler is None:
        return None
    try:
        return ctypes.CDLL(str(compile_source(source, compiler, trial)))
    except (InputError, OSError):
        # No room, no permission, or a compiler that cannot: others do without.
        return None


def find_compiler() -> str | None:
    """Return the path of a C compiler, or None. CC is asked first."""
    if os.name != "posix":
        return None
    wanted = os.environ.get("CC")
    names = (wanted, *COMPILERS) if wanted else COMPILERS
    return next((path for path in map(shutil.which, names) if path), None)


def compile_source(source: Path, compiler: str, trial: Trial | None = None) -> Path:
    """Return a compiled file, after compiling it if no earlier run did.

    Args:
        source: A C file of the package.
        compiler: Path of a C compiler.
        trial: As for `load_library`.

    Raises:
        InputError: The cache folder cannot be written to, is open to others, or the compiler fails.
    """
    folder = cache_folder() / "native"
    path = folder / f"{source.stem}-{_fingerprint(source, compiler)}.so"
    if not folder.exists():
        make_folder(folder)
        folder.chmod(0o700)  # whatever the user's mask
    if not path.exists():
        write_atomically(path, lambda beside: _compile_and_try(source, compiler, beside, trial))
    _check_ours(folder)
    _check_ours(path)
    return path


def _compile_and_try(source: Path, compiler: str, to: Path, trial: Trial | None) -> None:
    _compile(source, compiler, to)
    if trial is not None and not trial(to):
        raise InputError(f"what {compiler} makes of {source.name} fails. Set CC to a C compiler.")


def _compile(source: Path, compiler: str, to: Path) -> None:
    for flags in TRIED_FLAGS:
        command = [compiler, *COMMON_FLAGS, *flags, str(source), "-o", str(to), *LIBRARIES]
        if _run(command) is not None:
            to.chmod(0o700)
            return
    raise InputError(f"{compiler} cannot compile {source.name}. Set CC to a C compiler.")


def _run(command: list[str]) -> str | None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=COMPILE_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def _fingerprint(source: Path, compiler: str) -> str:
    parts = (source.read_bytes(), _run([compiler, "--version"]), _processor(), COMMON_FLAGS)
    digest = hashlib.sha256(repr((*parts, TRIED_FLAGS, LIBRARIES)).encode())
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
