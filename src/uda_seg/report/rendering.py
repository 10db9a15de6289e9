"""Templates, filled: every value is escaped, and one that is missing is an error."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from uda_seg.runs.files import write_text


@dataclass(frozen=True)
class Part:
    """What stands below one heading of a page."""

    title: str
    body: Markup


def render(template: str, **values: Any) -> Markup:
    """HTML of a file in `templates/`; only `Markup` and what a template calls safe stays as it is.

    Raises:
        jinja2.UndefinedError: the template needs a value that was not given.
    """
    return Markup(pages().get_template(template).render(values))


def write_page(path: Path, template: str, **values: Any) -> None:
    """Writes a page, whole or not at all."""
    write_text(Path(path), str(render(template, **values)) + "\n")


@cache
def pages() -> Environment:
    return environment("uda_seg.report", autoescape=True)


def environment(package: str, **settings: Any) -> Environment:
    """The templates of a package, strict, and without the lines that hold nothing but blocks."""
    return Environment(
        loader=PackageLoader(package),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        **settings,
    )
