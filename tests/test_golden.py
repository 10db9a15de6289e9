"""What users see today, word for word; tests/golden/README.md says how it is renewed."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Outcome
from golden.reading import differences, listing, skeleton, steady
from report.report_examples import save_comparison, save_sweep, save_whole_run

APPROVED = Path(__file__).parent / "golden"
RENEW = bool(os.environ.get("RENEW_GOLDEN"))
VERBS = (
    "train", "compare", "table", "evaluate", "report", "predict", "retrieve", "export",
    "data check", "data classes", "data draw", "data prepare", "data prepare superpixels",
)  # fmt: skip
CommandLine = Callable[..., Outcome]


def approve(name: str, text: str) -> None:
    """Compares a text with the approved one, or writes it there."""
    path = APPROVED / name
    text = steady(text, Path.cwd()).rstrip("\n") + "\n"
    if RENEW:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.is_file(), f"{name} was never approved: see tests/golden/README.md"
    wrong = differences(path.read_text(encoding="utf-8"), text)
    assert not wrong, f"{name}: users would see\n" + "\n".join(wrong[:20])


def ok(outcome: Outcome) -> str:
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stdout


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "dumb")
    for name in ("UDA_SEG_DATA", "UDA_SEG_CACHE", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


# Answers without a run


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_help(verb: str, command_line: CommandLine) -> None:
    answer = ok(command_line(*verb.split(), "--help"))
    approve(f"help/{verb.replace(' ', '_') or 'uda_seg'}.txt", answer)


def test_other_texts(command_line: CommandLine) -> None:
    lines = [
        "--version", "data classes source=gta5 target=cityscapes",
        "data classes source=synthia target=idd_lite", "data classes source=camvid target=kitti",
        "method=source_only source=toytown target=toytown_camera backbone=tiny --cfg job",
    ]  # fmt: skip
    parts = [f"$ uda-seg {line}\n{ok(command_line(*line.split()))}" for line in lines]
    approve("texts.txt", "\n".join(parts))


# Tables: what runs left is written, so that none is run


PLAIN = "overrides=['backbone.pretrained=none']"  # or it would matter what the hub's cache holds
ROWS = {
    "source_only": ("source only", "source_only", 0.3),
    "control": ("adaptive BN <control>", "adaptive_bn", 0.4),
    "ours": ("ours & theirs", "adaptseg", 0.5),
    "target_only": ("oracle", "target_only", 0.9),
}
MEAN = {"label": "mIoU 3", "classes": ["road", "traffic light", "car"]}
TABLE: dict[str, Any] = {
    "name": "mini",
    "title": "A mini table",
    "text": "Four rows and a quoted one.",
    "steps": 20,
    "common": ["backbone=tiny", "trainer=cpu"],
    "rows": {
        row: {"label": label, "overrides": [f"method={method}"]}
        for row, (label, method, _) in ROWS.items()
    },
}
PUBLISHED: dict[str, Any] = {
    "paper": "Nobody, never published",
    "classes": MEAN["classes"],
    "columns": ["miou_three"],
    "means": {"miou_three": MEAN},
    "sources": {"figure": "a figure"},
    "roles": {"tiny": {"baseline": "source_only", "control": "control", "oracle": "target_only"}},
    "cost": {"seconds": 1.5, "origin": "measured", "basis": "here"},
}


def write_own(group: str, node: dict[str, Any]) -> None:
    path = Path("mine", group, "mini.yaml")
    path.parent.mkdir(parents=True)
    path.write_text(yaml.safe_dump(node, sort_keys=False))


def write_runs(folder: Path) -> None:
    """Two finished runs of every row, each with the command that made it."""
    for row, (_, method, share) in ROWS.items():
        for seed in (0, 1):
            run = save_whole_run(folder / row / f"seed{seed}", method, seed, share + seed / 100)
            words = [*TABLE["common"], f"method={method}", "trainer.steps=20", f"seed={seed}"]
            (run / "job.json").write_text(json.dumps({"overrides": words}))


def approve_table(verb: str, run: Callable[[], Outcome], patch: pytest.MonkeyPatch) -> None:
    for columns in ("200", "80"):
        patch.setenv("COLUMNS", columns)
        approve(f"{verb}/terminal_{columns}.txt", ok(run()))
    folder = Path("outputs", f"{verb}_mini")
    for file in sorted(folder.glob("table.*")):
        approve(f"{verb}/{file.name}", file.read_text(encoding="utf-8"))
    approve(f"{verb}/page.txt", skeleton((folder / "index.html").read_text(encoding="utf-8")))
    files = "".join(f"{path.name}\n" for path in sorted(folder.iterdir()))
    approve(f"{verb}/folder.txt", files)


def test_compare(command_line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    roles = {"baseline": "source_only", "control": "control", "oracle": "target_only"}
    write_own("comparison", TABLE | roles)
    write_runs(Path("outputs/compare_mini"))
    words = "compare --config-dir mine comparison=mini seeds=[0,1]".split()
    approve_table("compare", lambda: command_line(*words), monkeypatch)


def test_table(command_line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    table = TABLE | PUBLISHED
    rows = {row: entry | {"backbone": "tiny"} for row, entry in TABLE["rows"].items()}
    rows["ours"]["published"] = {"origin": "read", "source": "figure", "miou_three": 42.35}
    rows["theirs"] = {"label": "theirs", "backbone": "tiny"}
    write_own("table", table | {"rows": rows})
    write_runs(Path("outputs/table_mini"))
    words = "table --config-dir mine table=mini seeds=[0,1]".split()
    approve_table("table", lambda: command_line(*words), monkeypatch)


def test_dry_runs(command_line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    approve("compare/dry_run.txt", ok(command_line("compare", "dry_run=true")))
    words = "table=gta5_to_cityscapes rows=[multi] seeds=[0,1] dry_run=true"
    approve("table/dry_run.txt", ok(command_line("table", *words.split(), PLAIN)))


def test_report(command_line: CommandLine) -> None:
    save_comparison(Path("compare").absolute())
    save_sweep(Path("sweep"), (0.0005, 0.001, 0.004))
    save_whole_run(Path("else"), "pit", 0, 0.5, target="kitti")
    for name, runs in (("comparison", "compare"), ("sweep", "[sweep,else]")):
        answer = ok(command_line("report", f"runs={runs}", f"output={name}.html"))
        approve(f"report/{name}_terminal.txt", answer)
        approve(f"report/{name}.txt", skeleton(Path(f"{name}.html").read_text(encoding="utf-8")))


# Tiny trainings: what they leave


SMALL = (
    "backbone=tiny source=toytown target=toytown_camera trainer=cpu source.size=[32,64] "
    "target.size=[32,64] trainer.batch_size=2 trainer.workers=0 trainer.panels=2 "
    "trainer.progress=false trainer.steps=2 trainer.validate_every=2 trainer.checkpoint_every=2"
).split()
LENGTHS = [f"{side}.length={{train: 4, val: 2}}" for side in ("source", "target")]
MACHINE = ("config_hash", "git_commit", "versions")
METHODS = {
    "source_only": "",
    "adaptseg": "critic.width=4",
    "road": "width=4",
    "rpt": "critic.width=4",
    "pit": "critic.width=4 presence.width=4",
    "gio_ada": "translator.width=4 translator.blocks=1 image_critic.width=4 output_critic.width=4",
    "target_only": "",
    "adaptive_bn": "",
}


def shape(value: Any) -> Any:
    """A JSON value with `#` for the numbers that a training gave; of a list its first element."""
    if isinstance(value, dict):
        return {key: shape(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return f"a list of {len(value)}: {json.dumps(shape(value[0]))}" if value else []
    return "#" if isinstance(value, float) else value


@pytest.mark.parametrize("method", METHODS)
def test_a_training(method: str, command_line: CommandLine) -> None:
    narrow = [f"method.{words}" for words in METHODS[method].split()]
    words = [f"method={method}", *SMALL, *LENGTHS, *narrow, "hydra.run.dir=run"]
    answer = command_line(*words)
    ok(answer)
    scores = json.loads(Path("run/scores.json").read_text())
    told = shape(scores) | {**dict.fromkeys(MACHINE, "#")}
    told["selections"] = {name: sorted(one) for name, one in scores["selections"].items()}
    text = json.dumps(told | {"weights": scores["weights"]}, indent=1)
    approve(f"train/{method}.txt", f"{listing(Path('run'))}\nscores.json\n{text}")
