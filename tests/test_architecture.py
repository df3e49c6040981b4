"""Who may import whom, and how long a file may be: the house rules that a machine can check."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "sightline"
FOUNDATION = {"errors", "catalog", "config", "files", "arrays", "quick"}
LEVEL = {
    "geometry": 1,
    "captures": 2,
    "answers": 2,
    "execution": 2,
    "scenes": 3,
    "facts": 4,
    "questions": 5,
    "samples": 6,
    "mixtures": 7,
    "models": 7,
    "benchmarks": 7,
    "training": 8,
    "inference": 8,
    "evaluation": 9,
    "reports": 10,
    "serving": 10,
}
NEVER = {("questions", "scenes"), ("answers", "geometry"), ("execution", "geometry"), ("models", "mixtures")}
TOP = {"cli", "demo", "verbs", "__main__"}  # the verbs: they may name everything and nobody imports them
TORCH_FROM = {"models", "training", "inference", "serving", "evaluation", "benchmarks"}
TORCH = {"torch", "transformers", "accelerate", "peft", "datasets", "tokenizers", "safetensors", "tensorboard"}
BASE_INSTALL = {
    "blosc2",
    "plyfile",
    "lz4",
    "numpy",
    "scipy",
    "numba",
    "cv2",
    "PIL",
    "pydantic",
    "yaml",
    "pyarrow",
    "rich",
    "typer",
    "typing_extensions",
}
UNPICKLERS = {"safe_pickle.py"}  # the one allow-listed unpickler
MODULES = sorted(SOURCE.rglob("*.py"))


def room_of(path: Path) -> str:
    relative = path.relative_to(SOURCE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imported(path: Path) -> list[tuple[str, int]]:
    """Every module name that a file imports, function-level imports and `importlib` strings included, with its line."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            names += [(f"{node.module}.{alias.name}", node.lineno) for alias in node.names]
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "import_module" and node.args:
            if isinstance(node.args[0], ast.Constant):
                names.append((node.args[0].value, node.lineno))
    return names


def broken_rules(path: Path) -> list[str]:
    room = room_of(path)
    broken = []
    for name, line in imported(path):
        parts = name.split(".")
        if parts[0] == "sightline" and len(parts) > 1:
            broken += [f"{path.name}:{line}: {why}" for why in broken_by(room, parts[1])]
        elif parts[0] in TORCH and room not in TORCH_FROM | TOP:
            broken.append(f"{path.name}:{line}: {room} may not import {parts[0]}")
    return broken


def broken_by(room: str, other: str) -> list[str]:
    if room == other or other in FOUNDATION or other == "__version__":
        return []
    if room in TOP:
        return []
    if other in TOP:
        return [f"{room} may not import {other}: nobody imports the verbs"]
    if room in FOUNDATION or room == "__init__":
        return [f"the foundation ({room}) may not import {other}"]
    if other not in LEVEL:
        return [f"{room} imports {other}, which is no room"]
    if LEVEL[other] >= LEVEL[room] or (room, other) in NEVER:
        return [f"{room} may not import {other}: arrows point down"]
    return []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_module_imports_only_downwards(path):
    assert broken_rules(path) == []


def test_the_rules_would_catch_a_breach(tmp_path):
    """The checker itself must be able to fail: each forbidden arrow in a small file is found."""
    assert broken_by("facts", "questions") and broken_by("questions", "scenes") and broken_by("files", "geometry")
    assert broken_by("captures", "answers") and broken_by("models", "cli") and broken_by("answers", "geometry")
    assert not broken_by("samples", "facts") and not broken_by("cli", "models") and not broken_by("models", "errors")
    sneaky = tmp_path / "sneaky.py"
    sneaky.write_text("def late():\n    import torch.nn\n    from sightline.reports import report\n")
    assert [name for name, _ in imported(sneaky)] == ["torch.nn", "sightline.reports.report"]


def test_every_folder_is_a_known_room():
    folders = {path.name for path in SOURCE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders - {"recipes", "verbs"} == set(LEVEL)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_module_is_short_and_says_what_it_does(path):
    text = path.read_text(encoding="utf-8")
    if not text.strip():
        assert path.name == "__init__.py"
        return
    assert text.count("\n") <= 400, "longer than 400 lines"
    assert ast.get_docstring(ast.parse(text)), "no first line that says what the file does"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_module_never_runs_code_from_data_and_never_swallows_errors(path):
    text = path.read_text(encoding="utf-8")
    if path.name in UNPICKLERS:
        assert "find_class" in text and "import pickle" in text
        text = text.replace("pickle", "")
    for pattern in (
        r"\bpickle\b",
        r"allow_pickle=True",
        r"trust_remote_code",
        r"yaml\.load\(",
        r"LOAD_TRUNCATED_IMAGES",
        r"\beval\(\s*['\"f]",
    ):
        assert not re.search(pattern, text), pattern
    for call in re.findall(r"torch\.load\([^\n]*", text):
        assert "weights_only=True" in call
    assert not re.search(r"^\s*print\(", text, re.M)


def test_the_data_engine_runs_with_the_base_install_alone():
    """Imports every data room with all other third-party packages made unimportable."""
    rooms = [room for room in LEVEL if room not in TORCH_FROM | {"reports"}]
    modules = [str(path.relative_to(SOURCE.parent).with_suffix("")).replace("/", ".") for path in MODULES if room_of(path) in rooms]
    modules = [name.removesuffix(".__init__") for name in modules if not name.endswith(("procedural.mesh",))]
    code = f"""
import sys, importlib, importlib.abc
allowed = {BASE_INSTALL!r} | {{"sightline"}} | set(sys.stdlib_module_names)
banned = {TORCH!r} | {{"matplotlib", "jinja2", "viser", "trimesh", "pandas"}}
class Wall(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in banned:
            raise ModuleNotFoundError(f"{{name}} is not in the base install", name=name)
sys.meta_path.insert(0, Wall())
for name in {modules!r} + ["sightline.cli"]:
    importlib.import_module(name)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
