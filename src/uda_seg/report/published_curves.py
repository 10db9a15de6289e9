"""Curves out of papers, to be drawn beside ours: from a list, or from a published table's YAML."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from uda_seg.config import conf_folder, shipped
from uda_seg.errors import ConfigError
from uda_seg.evaluation.scores import method_label
from uda_seg.report.parameters import PublishedCurve
from uda_seg.report.published import columns_of, published_of
from uda_seg.report.spec import classes_of


def read_published(name: str) -> list[PublishedCurve]:
    """
    Args:
        name: of a YAML file with a list `published:` of {label, key, points: {value: mIoU},
            origin}; or of a published table, such as lambda_adv or a file like it, whose rows
            differ in a number.

    Raises:
        ConfigError: there is no such file, or it holds no curve.
    """
    path = Path(name)
    if not path.is_file():
        path = conf_folder() / "table" / f"{name}.yaml"
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        curves = _listed(content) if "published" in content else _of_table(content)
    except FileNotFoundError as error:
        raise ConfigError(
            f"published={name}: is not there, neither as a file nor as a table of that name"
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise ConfigError(
            f"published={name}: needs a list published: of label, key and points, or a table's "
            f"rows ({error!r})"
        ) from error
    if not curves:
        raise ConfigError(f"published={name}: no rows differ in one number alone")
    return curves


def _listed(content: Mapping[str, Any]) -> list[PublishedCurve]:
    return [
        PublishedCurve(
            str(entry["label"]),
            str(entry["key"]),
            {float(value): float(miou) for value, miou in entry["points"].items()},
            str(entry.get("origin", "")),
        )
        for entry in content["published"]
    ]


def _of_table(table: Mapping[str, Any]) -> list[PublishedCurve]:
    """Rows of a table that differ in one number of their overrides alone; its first mean counts."""
    column, classes = columns_of(table)[0], classes_of(table)
    rows = []
    for name, entry in table["rows"].items():
        value = published_of(name, entry, table, classes).means[column.key]
        if value.known and entry.get("overrides") is not None:
            said = dict(line.partition("=")[::2] for line in entry["overrides"])
            rows.append((said, value))
    keys = dict.fromkeys(key for said, _ in rows for key in said if _number(said[key]) is not None)
    curves = []
    for key in keys:
        families: dict[tuple, dict[float, float]] = {}
        origins: dict[tuple, dict[str, None]] = {}
        for said, value in rows:
            at = _number(said.get(key))
            if at is not None:
                rest = tuple((k, v) for k, v in said.items() if k != key)
                families.setdefault(rest, {})[at] = value.number
                origins.setdefault(rest, {})[value.origin.words] = None
        families = {rest: points for rest, points in families.items() if len(points) > 1}
        for rest, points in families.items():
            words = ", ".join(_words(key, value) for key, value in rest)
            label = f"published ({table['title']})" + f", {words}" * (len(families) > 1)
            curves.append(PublishedCurve(label, key, points, "; ".join(origins[rest])))
    return curves


def _words(key: str, value: str) -> str:
    """An override as a reader would say it; a method by its label."""
    if key == "method":
        label = method_label({"name": value, **shipped("method", value)})
        return value if "${" in label else label  # it names what the method is built on, too
    return f"{key.rpartition('.')[2]} {value}"


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text is not None else None
    except ValueError:
        return None
