"""Rooms and doors: who may import what (CONTRIBUTING.md), how long a file is, what it is called."""

import ast
import functools
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "uda_seg"
MODULES = sorted(SOURCE.rglob("*.py"))
WRITTEN = MODULES + sorted((ROOT / "tests").rglob("*.py"))

# Where a module lies -> the packages it must not import.
BANNED = {
    "methods": {"lightning", "hydra", "wandb", "omegaconf"},
    "parts": {"lightning", "hydra", "wandb", "omegaconf"},
    "networks": {"lightning", "hydra", "wandb", "omegaconf"},
    "losses.py": {"lightning", "hydra", "wandb", "omegaconf"},
    "report": {"torch", "torchvision", "lightning", "timm"},
}
SEE_A_DICT_CONFIG = {
    "cli",
    "commands",
    "config.py",
    "composition.py",
    "launch.py",
    "overrides.py",
    "__main__.py",
    "run_folder.py",
    "trained_run.py",
}
LONGEST = 300
EMPTY_NAMES = {"util", "utils", "helper", "helpers", "misc", "common", "tools"}


def imported(tree: ast.AST) -> set[str]:
    """Top-level packages of every import, wherever in the file it stands."""
    packages = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            packages |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            packages.add(node.module.split(".")[0])
    return packages


def mentions(tree: ast.AST, word: str) -> bool:
    """Whether code (not prose) uses a name."""
    return any(
        word
        in (getattr(node, "id", None), getattr(node, "attr", None), getattr(node, "name", None))
        for node in ast.walk(tree)
    )


def room(path: Path) -> str:
    """The folder of a module under uda_seg, or its own name when it lies at the top."""
    return path.relative_to(SOURCE).parts[0]


def complaints(path: Path, code: str) -> list[str]:
    tree = ast.parse(code)
    found = [
        f"imports {package}" for package in sorted(imported(tree) & BANNED.get(room(path), set()))
    ]
    if mentions(tree, "DictConfig") and room(path) not in SEE_A_DICT_CONFIG:
        found.append("sees a DictConfig")
    return found


def weighty_imports(path: Path) -> set[str]:
    """Modules of this package that a module reaches through imports, itself among them."""
    reached, waiting = set(), [path]
    while waiting:
        module = waiting.pop()
        if module in reached:
            continue
        reached.add(module)
        waiting += doors(module)[0]
    return set().union(*(doors(module)[1] for module in reached))


@functools.cache
def doors(path: Path) -> tuple[list[Path], set[str]]:
    """Modules of this package that a module imports, and the packages."""
    tree, own = ast.parse(path.read_text()), []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("uda_seg"):
            names = [node.module, *(f"{node.module}.{name.name}" for name in node.names)]
            own += [found for name in names for found in files_of(name)]
        elif isinstance(node, ast.Import):
            own += [found for name in node.names for found in files_of(name.name)]
    return own, imported(tree)


def files_of(module: str) -> list[Path]:
    if module.split(".")[0] != "uda_seg":
        return []
    place = SOURCE.joinpath(*module.split(".")[1:])
    return [p for p in (place.with_suffix(".py"), place / "__init__.py") if p.is_file()]


def test_modules_use_only_their_own_doors():
    found = {str(path): complaints(path, path.read_text()) for path in MODULES}
    assert {path: lines for path, lines in found.items() if lines} == {}


def test_report_reaches_no_torch_through_other_modules():
    found = {
        str(p): weighty_imports(p) & BANNED["report"] for p in (SOURCE / "report").rglob("*.py")
    }
    assert len(found) > 5
    assert {path: packages for path, packages in found.items() if packages} == {}


def test_files_are_short_and_named_after_a_thing():
    lengths = {str(path): len(path.read_text().splitlines()) for path in WRITTEN}
    long = {path: lines for path, lines in lengths.items() if lines > LONGEST}
    assert long == {}, "split it where a reader would pause"
    assert [path for path in WRITTEN if path.stem in EMPTY_NAMES] == [], (
        "name it after what it holds"
    )


@pytest.mark.parametrize(
    ("place", "code", "complaint"),
    [
        ("methods/paper.py", "import lightning.pytorch as pl", "imports lightning"),
        ("parts/adversary.py", "def f():\n    from wandb import Image", "imports wandb"),
        ("networks/deeplab.py", "from omegaconf import OmegaConf", "imports omegaconf"),
        ("losses.py", "import hydra", "imports hydra"),
        ("report/table.py", "from torch import nn", "imports torch"),
        ("data/pair.py", "from omegaconf import DictConfig", "sees a DictConfig"),
        ("adaptation.py", "def f(c: omegaconf.DictConfig): ...", "sees a DictConfig"),
    ],
)
def test_checker_finds_what_is_forbidden(place, code, complaint):
    assert complaints(SOURCE / place, code) == [complaint]


def test_checker_allows_what_is_allowed():
    assert complaints(SOURCE / "config.py", "from omegaconf import DictConfig") == []
    assert complaints(SOURCE / "methods/paper.py", '"""No DictConfig."""\nimport torch') == []
    assert complaints(SOURCE / "adaptation.py", "import lightning") == []


def test_checker_follows_imports():
    assert "torch" in weighty_imports(SOURCE / "networks" / "prediction.py")
    assert len(MODULES) > 5
