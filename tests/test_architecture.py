"""The house stands as docs/architecture.md says: arrows point down, names say what is inside."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import s3d

ROOT = Path(s3d.__file__).parent
FLOORS = (
    {"cli"},
    {"serve"},
    {"explore", "pretrain"},
    {"detect"},
    {"train", "batch"},
    {"evaluate"},
    {"infer"},
    {"models", "data"},
    {"web", "page", "compiled"},
    {"files"},
    {"clip"},
    {"errors"},
)
"""From high to low. A room imports from lower floors alone; rooms side by side stay apart."""

HEIGHT = {room: -floor for floor, rooms in enumerate(FLOORS) for room in rooms}
VAGUE = {"utils", "util", "common", "core", "base", "helpers", "misc"}


def modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(source: str, module: str) -> set[str]:
    """Return what a module imports from s3d, wherever in it the import stands."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: a relative import; write s3d.<room> in full"
            home = node.module or ""
            found |= {f"{home}.{alias.name}" for alias in node.names} if home == "s3d" else {home}
    return {name for name in found if name.split(".")[0] == "s3d"}


def wrong_arrows(source: str, module: str) -> list[str]:
    room = module.split(".")[1]
    targets = [name.split(".")[1] for name in imported(source, module) if name.count(".")]
    rooms = [t for t in targets if t in HEIGHT and t != room]
    return [f"{module} -> {t}" for t in sorted(rooms) if HEIGHT[t] >= HEIGHT[room]]


def test_every_room_has_a_floor() -> None:
    rooms = {module_name(path).split(".")[1] for path in modules() if path.parent != ROOT}
    files = {path.stem for path in ROOT.glob("*.py")} - {"__init__", "__main__"}
    assert rooms | files <= set(HEIGHT)


def test_arrows_point_down() -> None:
    assert len(modules()) > 20
    wrong = []
    for path in modules():
        if path.parent != ROOT or path.stem in HEIGHT:
            wrong += wrong_arrows(path.read_text(encoding="utf-8"), module_name(path))
    assert not wrong


@pytest.mark.parametrize(
    ("module", "source", "arrows"),
    [
        ("s3d.models.network", "from s3d.data.decode import Frames", ["data"]),
        ("s3d.data.decode", "import s3d.models.layers", ["models"]),
        ("s3d.clip", "def f():\n    from s3d.files import write_text", ["files"]),
        ("s3d.infer.views", "from s3d import train", ["train"]),
        ("s3d.train.train", "from s3d.cli.terminal import progress_bar", ["cli"]),
        ("s3d.cli.train", "from s3d.cli.parser import add_verb\nimport s3d.train.config", []),
        ("s3d.train.loop", "from s3d.models.network import build\nimport s3d.clip", []),
        ("s3d.models.network", "from s3d.models.layers import Conv", []),
    ],
)
def test_an_arrow_that_points_up_is_seen(module: str, source: str, arrows: list[str]) -> None:
    assert wrong_arrows(source, module) == [f"{module} -> {arrow}" for arrow in arrows]


def test_no_room_has_a_vague_name() -> None:
    assert not [path for path in modules() if VAGUE & set(module_name(path).split("."))]


def test_public_names_are_the_lazy_ones_and_all_import() -> None:
    assert set(s3d.__all__) == set(s3d._HOMES)
    assert len(s3d.__all__) == len(set(s3d.__all__))
    for name in s3d.__all__:
        assert getattr(s3d, name) is getattr(import_module(s3d._HOMES[name]), name)
        assert name in dir(s3d)


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse((ROOT / "__init__.py").read_text(encoding="utf-8"))
    guarded = next(n for n in tree.body if isinstance(n, ast.If))
    seen = {
        a.name: n.module for n in guarded.body if isinstance(n, ast.ImportFrom) for a in n.names
    }
    assert seen == s3d._HOMES


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 's3d' has no attribute 'predict_all'"):
        _ = s3d.predict_all


@pytest.mark.parametrize("arguments", ["import s3d", "import s3d.cli; s3d.cli.main(['--help'])"])
def test_nothing_heavy_is_imported_before_it_is_needed(arguments: str) -> None:
    heavy = "{'torch', 'numpy', 'av', 'matplotlib'}"
    code = f"""
import sys
try:
    {arguments}
except SystemExit as stop:
    assert not stop.code, stop.code
assert not {heavy} & set(sys.modules), {heavy} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
