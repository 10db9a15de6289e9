"""A module that is imported only in case is loaded when it is used, and then is the real one."""

import importlib
import inspect
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from uda_seg.cli.later import later


@pytest.fixture(autouse=True)
def _heavy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package `heavy` with a module `part`."""
    (tmp_path / "heavy").mkdir()
    (tmp_path / "heavy" / "__init__.py").write_text("old, number = 'real', 3\n")
    (tmp_path / "heavy" / "part.py").write_text("number = 4\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("heavy", "heavy.part"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def is_loaded() -> bool:
    return "number" in vars(sys.modules.get("heavy", object))


def test_what_is_known_of_it_loads_nothing_and_then_it_is_the_real_one() -> None:
    with later("heavy", old=None):
        import heavy

        assert find_spec("heavy") is not None
        assert hasattr(heavy, "old")
        assert inspect.getmodule(is_loaded) is not heavy  # it looks through all modules
        assert not is_loaded()
    assert "heavy" not in sys.modules
    assert importlib.import_module("heavy").old == "real"
    assert heavy.number == 3  # whoever has it from before
    assert is_loaded()


def test_whoever_uses_it_meanwhile_has_the_real_one() -> None:
    with later("heavy", old=None):
        from heavy import number

        assert number == 3
        assert is_loaded()
        assert importlib.import_module("heavy").old == "real"
    assert is_loaded()


def test_so_has_whoever_imports_a_part_of_it() -> None:
    with later("heavy"):
        from heavy.part import number

        assert number == 4
        assert is_loaded()
        assert sys.modules["heavy"].part is sys.modules["heavy.part"]


def test_one_that_is_loaded_stays_and_an_error_leaves_nothing() -> None:
    real = importlib.import_module("heavy")
    with later("heavy", old=None):
        assert importlib.import_module("heavy") is real
        assert real.old == "real"
    del sys.modules["heavy"]
    with pytest.raises(ZeroDivisionError), later("heavy"):
        raise ZeroDivisionError
    assert "heavy" not in sys.modules


def test_what_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with later("nowhere"):
        nowhere = importlib.import_module("nowhere")
        with pytest.raises(ModuleNotFoundError, match="nowhere"):
            nowhere.number  # noqa: B018
