"""Compiling once, for this machine; and doing without a compiler."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3d import compiled
from s3d.errors import InputError
from s3d.infer.native import compile as native
from s3d.infer.native import trial
from s3d.infer.native.runner import NativeRunner
from s3d.models.graph import FeaturesInput, Graph

SOURCE = "long s3d_vector(void) { return 8; }\n"

needs_compiler = pytest.mark.skipif(
    compiled.find_compiler() is None, reason="no C compiler is here"
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("S3D_HOME", str(tmp_path / "home"))
    # A source of one line: what is tested is what happens around the compiler.
    source = tmp_path / "kernels.c"
    source.write_text(SOURCE)
    monkeypatch.setattr(native, "SOURCE", source)
    monkeypatch.setattr(trial, "passes_trial", lambda kernels: True)
    compiled._load_once.cache_clear()
    yield tmp_path / "home"
    compiled._load_once.cache_clear()


def write_compiler(path: Path, lines: str) -> str:
    path.write_text(f"#!/bin/sh\n{lines}\n")
    path.chmod(0o755)
    return str(path)


@needs_compiler
def test_what_is_compiled_is_kept(home: Path) -> None:
    compiler = compiled.find_compiler()
    assert compiler is not None
    path = compiled.compile_source(native.SOURCE, compiler)
    assert path.parent == home / "native"
    before = path.stat().st_mtime_ns
    assert compiled.compile_source(native.SOURCE, compiler) == path
    assert path.stat().st_mtime_ns == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert native.load_kernels() is not None


@needs_compiler
def test_two_processes_may_compile_at_once(home: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from s3d.infer.native import compile as native; "
        "from s3d.infer.native import trial; trial.passes_trial = lambda kernels: True; "
        "native.SOURCE = Path(sys.argv[1]); print(native.load_kernels().s3d_vector())"
    )
    command = [sys.executable, "-c", code, str(native.SOURCE)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    found = [process.communicate(timeout=120)[0].strip() for process in both]
    assert found == ["8", "8"]
    assert len(list((home / "native").iterdir())) == 1


def test_another_source_is_another_file(tmp_path: Path) -> None:
    compiler = write_compiler(tmp_path / "cc", "exit 0")
    before = compiled._fingerprint(native.SOURCE, compiler)
    native.SOURCE.write_text("int nothing;")
    assert compiled._fingerprint(native.SOURCE, compiler) != before


def test_no_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert compiled.find_compiler() is None
    assert native.load_kernels() is None
    with pytest.raises(InputError, match="no C compiler was found"):
        NativeRunner(Graph((FeaturesInput("input", (3, 4, 32, 32), ()),)))


def test_a_compiler_that_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: Path) -> None:
    broken = write_compiler(tmp_path / "broken", "exit 1")
    monkeypatch.setenv("CC", broken)
    assert compiled.find_compiler() == broken
    with pytest.raises(InputError, match=r"cannot compile kernels\.c"):
        compiled.compile_source(native.SOURCE, broken)
    assert native.load_kernels() is None
    assert list((home / "native").iterdir()) == []


@needs_compiler
def test_flags_that_a_compiler_does_not_know(tmp_path: Path) -> None:
    lines = 'for a in "$@"; do case $a in -fopenmp|-march=*) exit 1;; esac; done\nexec cc "$@"'
    path = compiled.compile_source(native.SOURCE, write_compiler(tmp_path / "plain", lines))
    assert path.stat().st_size > 1000


@needs_compiler
def test_code_that_others_could_have_written_is_not_run(home: Path) -> None:
    compiler = compiled.find_compiler()
    assert compiler is not None
    path = compiled.compile_source(native.SOURCE, compiler)
    path.parent.chmod(0o777)
    with pytest.raises(InputError, match="can be written by others"):
        compiled.compile_source(native.SOURCE, compiler)
    path.parent.chmod(0o755)
    path.chmod(0o722)
    with pytest.raises(InputError, match="can be written by others"):
        compiled.compile_source(native.SOURCE, compiler)
    assert native.load_kernels() is None


@needs_compiler
def test_a_mask_that_lets_a_group_write_is_no_hindrance() -> None:
    before = os.umask(0o002)
    try:
        assert native.load_kernels() is not None
    finally:
        os.umask(before)


TRIES = trial.passes_trial


@needs_compiler
@pytest.mark.parametrize(
    "body",
    ["{ __builtin_trap(); return 8; }", "{ return 8; }"],
    ids=["a crash", "nothing but its size"],
)
def test_kernels_that_fail_their_trial_are_not_offered(
    home: Path, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    monkeypatch.setattr(trial, "passes_trial", TRIES)
    native.SOURCE.write_text(f"long s3d_vector(void) {body}\n")
    assert native.load_kernels() is None
    assert not list((home / "native").iterdir())


@needs_compiler
@pytest.mark.slow
def test_true_kernels_pass_their_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "passes_trial", TRIES)
    monkeypatch.setattr(native, "SOURCE", Path(native.__file__).with_name("kernels.c"))
    assert native.load_kernels() is not None
