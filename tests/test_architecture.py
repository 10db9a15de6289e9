"""Rooms and floors: who may import whom, how long a file is, what it is called."""

import ast
import functools
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "uda_seg"
MODULES = sorted(SOURCE.rglob("*.py"))
WRITTEN = MODULES + sorted((ROOT / "tests").rglob("*.py"))

# A room is a folder with modules. It imports from the floors below it and from the ground, never
# from beside or above. A verb's module is found by its name alone: `cli` imports no command.
GROUND = {"errors", "batch", "losses", "config"}
DOORS = {"__init__", "__main__"}
FLOORS = (
    ("runs", "networks", "data.files"),
    ("images", "components"),
    ("data.datasets", "methods"),
    ("data.cache", "data.toytown", "evaluation"),
    ("data.checking", "report"),
    ("data.feeding", "experiments", "export"),
    ("training", "prediction", "retrieval"),
    ("cli",),
    ("commands",),
)
MOST_ROOMS, MOST_FLOORS = 20, 9

# Where a module lies -> the packages it must not import.
BANNED = {
    "methods": {"lightning", "hydra", "wandb", "omegaconf"},
    "components": {"lightning", "hydra", "wandb", "omegaconf"},
    "networks": {"lightning", "hydra", "wandb", "omegaconf"},
    "losses": {"lightning", "hydra", "wandb", "omegaconf"},
    "report": {"torch", "torchvision", "lightning", "timm"},
}
SEE_A_DICT_CONFIG = {"cli", "config"}
LONGEST, LONGEST_COMMAND = 300, 120
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


def name_of(path: Path) -> str:
    """Of a module, without the package: `data.cache.stores`."""
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts)


def room(path: Path) -> str:
    """The folder of a module; "" for those that lie at the top."""
    return name_of(path).rpartition(".")[0]


def lies_in(path: Path, places: set[str]) -> bool:
    return any(f"{name_of(path)}.".startswith(f"{place}.") for place in places)


def complaints(path: Path, code: str) -> list[str]:
    tree = ast.parse(code)
    banned = {package for place in BANNED if lies_in(path, {place}) for package in BANNED[place]}
    lines = [f"imports {package}" for package in sorted(imported(tree) & banned)]
    if mentions(tree, "DictConfig") and not lies_in(path, SEE_A_DICT_CONFIG):
        lines.append("sees a DictConfig")
    return lines


def floor(path: Path) -> int:
    """0 for the ground, 1 for the lowest rooms."""
    if not room(path):
        return 0 if path.stem in GROUND else len(FLOORS) + 1
    return next((i for i, rooms in enumerate(FLOORS, 1) if room(path) in rooms), -1)


def climbs(path: Path) -> list[str]:
    """Imports of a module that do not lead down; those within its room are left out."""
    others = [other for other in doors(path)[0] if room(other) != room(path) or not room(path)]
    return [
        f"{name_of(path)} imports {name_of(other)}"
        for other in others
        if other.stem != "__init__" and floor(other) >= max(floor(path), 1)
    ]


def circles(modules: dict[str, set[str]]) -> list[list[str]]:
    """Chains of imports that end where they began."""
    done: set[str] = set()
    rings: list[list[str]] = []

    def follow(module: str, chain: list[str]) -> None:
        if module in chain:
            rings.append([*chain[chain.index(module) :], module])
        elif module not in done:
            for other in sorted(modules[module]):
                follow(other, [*chain, module])
            done.add(module)

    for module in sorted(modules):
        follow(module, [])
    return rings


def weighty_imports(path: Path) -> set[str]:
    """Modules of this package that a module reaches through imports, itself among them."""
    reached, waiting = {SOURCE / "__init__.py"}, [path]  # which imports when it is called
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


def test_every_module_has_a_room_on_one_of_the_floors():
    rooms = {room(path) for path in MODULES if path.stem != "__init__"} - {""}
    assert rooms == {name for rooms in FLOORS for name in rooms}
    assert len(rooms) <= MOST_ROOMS
    assert len(FLOORS) <= MOST_FLOORS
    assert {path.stem for path in SOURCE.glob("*.py")} == GROUND | DOORS


def test_imports_lead_down():
    assert [line for path in MODULES if path.stem not in DOORS for line in climbs(path)] == []


def test_modules_import_in_no_circle():
    inner = [path for path in MODULES if path.stem != "__init__"]
    modules = {
        name_of(path): {name_of(p) for p in doors(path)[0] if p in inner and p != path}
        for path in inner
    }
    assert len(modules) > 100
    assert circles(modules) == []
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == [["b", "c", "b"]]


def test_a_room_says_in_one_line_what_lives_there():
    for folder in sorted({path.parent for path in MODULES} - {SOURCE}):
        text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
        first, _, rest = text.partition("\n")
        assert first.endswith("."), folder
        assert not rest.partition("\n")[0], folder


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
    commands = {path: lines for path, lines in lengths.items() if "/uda_seg/commands/" in path}
    assert max(commands.values()) <= LONGEST_COMMAND, "a command names the steps, rooms take them"
    assert [path for path in WRITTEN if path.stem in EMPTY_NAMES] == [], (
        "name it after what it holds"
    )


@pytest.mark.parametrize(
    ("place", "code", "complaint"),
    [
        ("methods/paper.py", "import lightning.pytorch as pl", "imports lightning"),
        ("components/adversary.py", "def f():\n    from wandb import Image", "imports wandb"),
        ("networks/deeplab.py", "from omegaconf import OmegaConf", "imports omegaconf"),
        ("losses.py", "import hydra", "imports hydra"),
        ("report/table.py", "from torch import nn", "imports torch"),
        ("data/feeding/data_module.py", "from omegaconf import DictConfig", "sees a DictConfig"),
        ("training/adaptation.py", "def f(c: omegaconf.DictConfig): ...", "sees a DictConfig"),
    ],
)
def test_checker_finds_what_is_forbidden(place, code, complaint):
    assert complaints(SOURCE / place, code) == [complaint]


def test_checker_sees_who_climbs(monkeypatch):
    stores, cached = (SOURCE / "data" / "cache" / f"{n}.py" for n in ("stores", "cached_dataset"))
    loop, ground = SOURCE / "training" / "adaptation.py", SOURCE / "losses.py"
    reached = {stores: [cached, ground], ground: [loop], loop: [stores], cached: [loop]}
    monkeypatch.setitem(globals(), "doors", lambda path: (reached[path], set()))
    assert climbs(stores) == climbs(loop) == []
    assert climbs(cached) == ["data.cache.cached_dataset imports training.adaptation"]
    assert climbs(ground) == ["losses imports training.adaptation"]


def test_checker_allows_what_is_allowed():
    assert complaints(SOURCE / "config.py", "from omegaconf import DictConfig") == []
    assert complaints(SOURCE / "methods/paper.py", '"""No DictConfig."""\nimport torch') == []
    assert complaints(SOURCE / "training/adaptation.py", "import lightning") == []


def test_checker_follows_imports():
    assert "torch" in weighty_imports(SOURCE / "networks" / "prediction.py")
    assert len(MODULES) > 5
