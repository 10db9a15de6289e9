"""The module behind a verb, and what its libraries import only in case."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


def command_of(verb: str) -> ModuleType:
    """The module of `uda_seg.commands` that runs a verb; for most of them it loads torch.

    torchmetrics, which Lightning imports, loads half of SciPy to see whether `scipy.signal` has a
    name that it once had: half a second, for others' programs.
    """
    with later("scipy.signal", hamming=None):
        return importlib.import_module(f"uda_seg.commands.{verb}")


class _Later(ModuleType):
    """Stands for a module until somebody asks for something that it was not given."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__path__":  # `inspect` looks through all modules
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        _remove(self)
        return getattr(importlib.import_module(self.__name__), name)


@contextmanager
def later(name: str, **known: Any) -> Iterator[None]:
    """While it lasts, importing a module loads nothing; afterwards, and as soon as one of its
    attributes is used, it is the module itself.

    Args:
        name: of the module; if it is loaded already, nothing is done.
        known: attributes that may be asked for without loading it.
    """
    if name in sys.modules:
        yield
        return
    module = _Later(name)
    module.__spec__ = ModuleSpec(name, None)  # the import statement looks at it
    vars(module).update(known)
    sys.modules[name] = module
    try:
        yield
    finally:
        _remove(module)


def _remove(module: ModuleType) -> None:
    if sys.modules.get(module.__name__) is module:
        del sys.modules[module.__name__]
