"""What a `_target_` takes, read off its source: nothing is imported, so nothing heavy is.

A class that a config builds names its parameters in its own `__init__`, or in that of a base.
"""

import ast
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path


@dataclass(frozen=True)
class Signature:
    """Parameters of a class or function.

    Attributes:
        names: that may be given by name.
        required: those without a default.
        open: whether it takes any other name too (`**options`).
    """

    names: tuple[str, ...]
    required: tuple[str, ...]
    open: bool


@lru_cache(maxsize=256)
def signature(target: str) -> Signature | None:
    """What a dotted path takes; None where its source does not tell.

    Raises:
        LookupError: its package, module or name does not exist.
    """
    module, _, name = target.rpartition(".")
    found = _definition(module, name)
    if isinstance(found, ast.FunctionDef):
        return _parameters(found.args, 0)
    return _constructor(module, found) if isinstance(found, ast.ClassDef) else None


def _constructor(module: str, node: ast.ClassDef) -> Signature | None:
    for child in node.body:
        if isinstance(child, ast.FunctionDef) and child.name == "__init__":
            return _parameters(child.args, 1)
    if any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list):
        return None
    for base in node.bases:
        try:
            found = _definition(module, ast.unparse(base))
        except LookupError:
            return None
        if isinstance(found, ast.ClassDef) and (own := _constructor(_home(module, base), found)):
            return own
    return None


def _home(module: str, base: ast.expr) -> str:
    """The module that a base class is imported from, or this one."""
    tree = _tree(module)
    for source, names in _imports(module, tree) if tree else ():
        if ast.unparse(base) in names:
            return source
    return module


def _parameters(arguments: ast.arguments, skipped: int) -> Signature:
    given = [*arguments.posonlyargs, *arguments.args][skipped:]
    names = [argument.arg for argument in (*given, *arguments.kwonlyargs)]
    required = [argument.arg for argument in given[: len(given) - len(arguments.defaults)]]
    required += [
        argument.arg
        for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults)
        if default is None
    ]
    return Signature(tuple(names), tuple(required), arguments.kwarg is not None)


def _definition(module: str, name: str, depth: int = 0) -> ast.AST | None:
    """Where a name of a module is defined, wherever it is imported from; None where that is not
    to be seen.

    Raises:
        LookupError: there is no such module or name.
    """
    tree = _tree(module)
    if tree is None or depth > 4:
        return None
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return node
        if isinstance(node, ast.Assign) and any(ast.unparse(t) == name for t in node.targets):
            return None
    for source, names in _imports(module, tree):
        if name in names:
            return _definition(source, names[name], depth + 1)
        if "*" in names:
            return None
    if any(getattr(node, "name", "") == "__getattr__" for node in tree.body):
        return None  # the module makes names of its own
    raise LookupError(f"{module} has no {name}")


def _imports(module: str, tree: ast.Module) -> Iterator[tuple[str, dict[str, str]]]:
    """`from X import a as b`: X, and b to a."""
    package = module if _file(module).name == "__init__.py" else module.rpartition(".")[0]
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            above = parts[: len(parts) - node.level + 1] if node.level else []
            source = ".".join([*above, *filter(None, [node.module])])
            yield source, {name.asname or name.name: name.name for name in node.names}


@lru_cache(maxsize=256)
def _tree(module: str) -> ast.Module | None:
    path = _file(module)
    return ast.parse(path.read_text(encoding="utf-8")) if path.suffix == ".py" else None


def _file(module: str) -> Path:
    """A module's file; finding one imports no package.

    Raises:
        LookupError: there is none.
    """
    top, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        spec = None
    for folder in (spec.submodule_search_locations or []) if spec else []:
        place = Path(folder).joinpath(*rest)
        for path in (place / "__init__.py", place.with_suffix(".py")):
            if path.is_file():
                return path
        found = next(place.parent.glob(f"{place.name}.*.so"), None)
        if found is not None:
            return found
    if spec is not None and not rest and spec.origin:
        return Path(spec.origin)
    raise LookupError(f"there is no module {module}")
