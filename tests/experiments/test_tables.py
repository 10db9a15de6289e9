"""Shipped tables: every row a right command, every number accounted for; and a tiny one, run."""

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import compose
from omegaconf import OmegaConf

from uda_seg.cli import job_configs
from uda_seg.cli.command_line import check
from uda_seg.cli.job_configs import configs
from uda_seg.config import conf_folder, read_yaml
from uda_seg.errors import ConfigError
from uda_seg.experiments.dry_run import cost_of, plan_lines, spoken
from uda_seg.experiments.requirements import Need
from uda_seg.experiments.rows import Job, jobs, wanted_rows
from uda_seg.report.published import UNPUBLISHED, columns_of, published_of
from uda_seg.report.spec import check_spec, classes_of, is_quoted, roles_of

NAMES = sorted(path.stem for path in Path(conf_folder(), "table").glob("*.yaml"))
FAST = re.compile(r"gta5_to_cityscapes|slides_synthia_to_camvid|toytown(?!_to_camvid_).*")
"""Tables whose rows are composed in every test run; those on CamVid take theirs from others."""
ALL = [pytest.param(n, marks=[] if FAST.fullmatch(n) else pytest.mark.slow) for n in NAMES]


def table_of(name: str) -> dict[str, Any]:
    """As it stands in its file and in those that it takes rows from."""
    own = read_yaml(Path(conf_folder(), "table", f"{name}.yaml"))
    bases = [table_of(base) for base in own.pop("defaults", []) if base != "_self_"]
    table: Any = OmegaConf.to_container(OmegaConf.merge(*bases, own))
    return table


@pytest.fixture(autouse=True, scope="module")
def _rows_that_tables_share_are_checked_once() -> Iterator[None]:
    checked = functools.cache(lambda verb, given, own: check(verb, list(given), own_folder=own))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job_configs, "check", lambda v, g, own_folder: checked(v, (*g,), own_folder))
        yield


@pytest.fixture(params=NAMES)
def table(request: pytest.FixtureRequest) -> dict[str, Any]:
    return table_of(request.param)


def test_the_docs_list_every_table() -> None:
    docs = (Path(__file__).parents[2] / "docs" / "tables.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", docs, re.M)) == set(NAMES)


@pytest.mark.parametrize("name", ALL)
def test_every_row_is_a_right_command(name: str, tmp_path: Path) -> None:
    config: Any = compose("table", [f"table={name}"])
    table = config["table"]
    assert table["name"] == name
    made = jobs(table, [0], [], tmp_path)
    found = configs(made)
    assert {job.row for job in made} == wanted_rows(table, None)
    trained = [job for job in made if job.verb == "train"]
    assert {job.row for job in trained} == set(found)
    for job in trained:
        assert found[job.row]["trainer"]["steps"] == job.steps
        assert (found[job.row]["backbone"]["schedule"]["total"] or job.steps) >= job.steps
    methods = {"baseline": "source_only", "control": "adaptive_bn", "oracle": "target_only"}
    for backbone, roles in roles_of(table).items():
        of_this = [row for row in found if table["rows"][row].get("backbone", "") == backbone]
        assert len({found[row]["backbone"]["name"] for row in of_this}) == 1, backbone
        for role, row in roles.items():
            assert row is None or found[row]["method"]["name"] == methods[role]


def test_every_table_is_well_formed(table: dict[str, Any]) -> None:
    check_spec(table)
    for roles in roles_of(table).values():
        assert set(roles) == {"baseline", "control", "oracle"}
    for name, entry in table["rows"].items():
        assert not is_quoted(entry) or entry["published"], name


def test_published_classes_average_to_the_published_mean(table: dict[str, Any]) -> None:
    classes = classes_of(table) if table.get("columns") else ()
    for name, entry in table["rows"].items():
        said = published_of(name, entry, table, classes) if classes else UNPUBLISHED
        iou = {name: value.number for name, value in said.iou.items()}
        for column in columns_of(table) if classes else ():
            computed, value = column.of_classes(iou), said.means[column.key]
            told = f"{computed:.2f}" in entry.get("note", "")  # a slip of the source's own
            if value.known and computed == computed and not told:
                assert computed == pytest.approx(value.number, abs=0.15), (name, column.key)


def test_costs_say_where_they_come_from(table: dict[str, Any]) -> None:
    seconds, origin, basis = cost_of(table)
    assert seconds is None or (origin in ("measured", "estimate") and basis)
    with pytest.raises(ConfigError, match="table.cost.origin"):
        cost_of({"cost": {"seconds": 1.0}})


def test_docs_tell_rows_and_time_of_every_table(table: dict[str, Any], tmp_path: Path) -> None:
    docs = (Path(__file__).parents[2] / "docs" / "tables.md").read_text(encoding="utf-8")
    made, (seconds, origin, _) = jobs(table, [0], [], tmp_path), cost_of(table)
    whole = sum(job.cost for job in made) * (seconds or 0)
    time = f"{whole / 3600:.0f} h" if whole > 3600 else spoken(whole)
    time = f"{time}, {origin}" if seconds else "unknown"
    assert f"| `{table['name']}` | {len(made)} | {time} |" in docs


def test_a_row_is_the_same_where_the_tables_folder_was_moved(tmp_path: Path) -> None:
    rows = {"w": {"overrides": []}, "v": {"overrides": []}, "a": {"overrides": [], "after": "w"}}
    spec: dict[str, Any] = {"common": [], "steps": 3, "rows": rows}
    old, new = tmp_path / "it's old", tmp_path / "new"
    last = jobs(spec, [0], [], old)[-1]
    (old / "a" / "seed0").mkdir(parents=True)
    last.begin()
    (old / "a" / "seed0" / "scores.json").write_text('{"finished": true}')
    old.rename(new)
    assert jobs(spec, [0], [], new)[-1].done
    rows["a"]["after"] = "v"
    other = jobs(spec, [0], [], new)[-1]
    assert not other.done
    assert "a, seed 0: had w/seed0, has v/seed0" in str(other.check_replaced())


def test_a_later_choice_replaces_the_tables_own(tmp_path: Path) -> None:
    spec = {
        "common": ["backbone=small", "backbone.optimizer.lr=1e-3"],
        "rows": {"row": {"overrides": ["method=mic", "method@method.base=dacs"], "steps": 3}},
    }
    extra = ["backbone=tiny", "method@method.base=daformer", "trainer.steps=2"]
    (job,) = jobs(spec, [0], extra, tmp_path)
    assert job.overrides == (
        "backbone.optimizer.lr=1e-3", "method=mic", "trainer.steps=3",
        "backbone=tiny", "method@method.base=daformer", "trainer.steps=2", "seed=0",
    )  # fmt: skip


def test_a_plan_tells_time_commands_and_what_is_missing(tmp_path: Path) -> None:
    table = {"cost": {"seconds": 2.0, "origin": "estimate", "basis": "a guess"}}
    made = [Job("a", s, 900, tmp_path / f"a{s}", ("x='1 2'",), None, 1800.0) for s in (0, 1)]
    made.append(Job("b", 0, 900, tmp_path / "b", (), None, 900.0))
    missing = {"a": [Need("gta5: source.root=/no is not there", True)], "b": []}
    lines = list(plan_lines(table, made, missing, 2))
    assert lines[0] == "lacks    a, seed 0: 900 steps, 60 min (estimate)"
    assert "needs gta5: source.root=/no is not there" in lines[1]
    assert "python -m uda_seg train 'x='\"'\"'1 2'" in lines[2]
    text = "\n".join(lines)
    assert "pending  b, seed 0: 900 steps, 30 min (estimate)" in text
    assert "time: about 2.5 h of runs, 2 at a time: 75 min (estimate: a guess)" in text
    assert "missing:\n  gta5: source.root=/no is not there (for a)" in text
    assert "time: unknown" in "\n".join(plan_lines({}, made, missing, 1))
    assert [spoken(s) for s in (5, 600, 7200, 172800)] == ["5 s", "10 min", "2.0 h", "2.0 days"]
