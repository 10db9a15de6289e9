"""What users see today, word for word; tests/golden/README.md says how it is renewed."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from cli.test_command_lines import OWN
from conftest import Outcome
from golden.reading import APPROVED, approve, listing, shape, skeleton
from prediction.tiny_run import write_run, write_street
from report.report_examples import save_sweep, save_table, save_whole_run

VERBS = (
    "train", "compare", "table", "evaluate", "report", "predict", "retrieve", "export",
    "data check", "data classes", "data draw", "data prepare", "data prepare superpixels",
)  # fmt: skip
CommandLine = Callable[..., Outcome]


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
    name = verb.replace(" ", "_") or "uda_seg"
    approve(f"help/{name}.txt", ok(command_line(*verb.split(), "--help")))


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
    for path in sorted(folder.glob("table.*")):
        approve(f"{verb}/{path.name}", path.read_text(encoding="utf-8"))
    approve(f"{verb}/page.txt", skeleton((folder / "index.html").read_text(encoding="utf-8")))
    files = "".join(f"{path.name}\n" for path in sorted(folder.iterdir()))
    approve(f"{verb}/folder.txt", files)


def test_compare(command_line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    roles = {"baseline": "source_only", "control": "control", "oracle": "target_only"}
    write_own("table", TABLE | {"roles": roles})
    write_runs(Path("outputs/compare_mini"))
    words = "compare --config-dir mine table=mini seeds=[0,1]".split()
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
    save_table(Path("compare").absolute())
    save_sweep(Path("sweep"), (0.0005, 0.001, 0.004))
    save_whole_run(Path("else"), "pit", 0, 0.5, target="kitti")
    for name, runs in (("table", "compare"), ("sweep", "[sweep,else]")):
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
UNSTEADY = dict.fromkeys(("config_hash", "git_commit", "versions"), "#")
METHODS = {
    "source_only": "",
    "adaptseg": "discriminator.width=4",
    "road": "width=4",
    "rpt": "discriminator.width=4",
    "pit": "discriminator.width=4 presence.width=4",
    "gio_ada": "translator.width=4 translator.blocks=1 image_discriminator.width=4"
    " output_discriminator.width=4",
}


@pytest.mark.parametrize("method", METHODS)
def test_a_training(method: str, command_line: CommandLine) -> None:
    narrow = [f"method.{words}" for words in METHODS[method].split()]
    words = [f"method={method}", *SMALL, *LENGTHS, *narrow, "hydra.run.dir=run"]
    ok(command_line(*words))
    scores = json.loads(Path("run/scores.json").read_text())
    told = shape(scores) | UNSTEADY | {key: scores[key] for key in ("method", "weights")}
    told["selections"] = {name: sorted(one) for name, one in scores["selections"].items()}
    text = json.dumps(told, indent=1)
    approve(f"train/{method}.txt", f"{listing(Path('run'))}\nscores.json\n{text}")


# Verbs that read a checkpoint


@pytest.fixture
def run(command_line: CommandLine) -> str:
    """A run of two steps."""
    ok(command_line("method=source_only", *SMALL, *LENGTHS, "hydra.run.dir=run"))
    return "checkpoint=run"


def approve_folder(verb: str, outcome: Outcome, folder: str) -> None:
    approve(f"{verb}/terminal.txt", ok(outcome), measured=True)
    approve(f"{verb}/folder.txt", listing(Path(folder)))


def test_evaluate(run: str, command_line: CommandLine) -> None:
    words = [run, "device=cpu", "workers=0", "hydra.run.dir=scored"]
    approve_folder("evaluate", command_line("evaluate", *words), "scored")
    scores = json.loads(Path("scored/scores.json").read_text())
    approve("evaluate/scores.txt", json.dumps(shape(scores) | UNSTEADY, indent=1), measured=True)


def test_predict(run: str, command_line: CommandLine) -> None:
    write_street(Path("in"))
    words = [run, "input=in", "output=out", "device=cpu"]
    approve_folder("predict", command_line("predict", *words), "out")


def test_retrieve(run: str, command_line: CommandLine) -> None:
    words = [run, "output=out", "device=cpu", "workers=0", "k=[1]", "strips=1"]
    approve_folder("retrieve", command_line("retrieve", *words), "out")
    page = skeleton(Path("out/index.html").read_text(encoding="utf-8"))
    approve("retrieve/page.txt", page, measured=True)
    approve("retrieve/retrieval.csv", Path("out/retrieval.csv").read_text(), measured=True)
    head, *neighbors = Path("out/neighbors.csv").read_text().splitlines()
    approve("retrieve/neighbors.txt", f"{head}\n{len(neighbors)} more lines")


def test_export(run: str, command_line: CommandLine) -> None:
    words = [run, "output=out", "formats=[torch_export]", "sizes=[[32,64]]"]
    approve_folder("export", command_line("export", *words), "out")
    approve("export/model_card.txt", Path("out/model_card.md").read_text(), measured=True)


# Data


def test_data_check(camvid: Path, command_line: CommandLine) -> None:
    words = (
        f"target=camvid target.root={camvid} workers=0 pictures=1 cache_root=cache "
        "source.length.train=3 source.length.val=2 source.size=[32,64] hydra.run.dir=checked"
    ).split()
    approve_folder("data_check", command_line("data", "check", *words), "checked")
    (camvid / "val" / "001.png").write_bytes(b"no image")
    (camvid / "trainannot" / "002.png").unlink()
    broken = command_line("data", "check", *words)
    text = f"exit {broken.returncode}\n{broken.stdout}\n{broken.stderr}"
    approve("data_check/broken.txt", text, measured=True)


def test_data_draw_and_prepare(command_line: CommandLine) -> None:
    words = "layout=camvid root=drawn length=[2,1] size=[32,64] workers=0"
    approve_folder("data_draw", command_line("data", "draw", *words.split()), "drawn")
    target = "target=camvid target.root=drawn target.size=[32,64] cache_root=kept workers=0"
    for verb in ("data prepare", "data prepare superpixels"):
        answer = ok(command_line(*verb.split(), *target.split()))
        approve(f"{verb.replace(' ', '_')}.txt", answer, measured=True)


# Sweeps


def test_sweep(command_line: CommandLine) -> None:
    words = [*SMALL, *LENGTHS, "method.discriminator.width=4", "hydra.sweep.dir=swept"]
    outcome = command_line("-m", "method.lambda_adv=0.001,0.004,1e300", *words)
    text = f"exit {outcome.returncode}\n{outcome.stdout}\n{outcome.stderr}"
    approve("sweep/terminal.txt", text, measured=True)
    files = "".join(f"{path.name}\n" for path in sorted(Path("swept").iterdir()))
    approve("sweep/folder.txt", files)
    for name in ("sweep.csv", "sweep.json"):
        text = Path("swept", name).read_text(encoding="utf-8")
        approve(f"sweep/{name}", text, measured=True)


# Mistakes: the lines stand in the approved files, each after a dollar sign


@pytest.mark.parametrize("group", sorted(path.stem for path in APPROVED.glob("mistakes/*.txt")))
def test_mistakes(
    group: str, camvid: Path, command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever adds a line renews the answers."""
    # torchmetrics imports matplotlib, which keeps a list of fonts in the home folder.
    monkeypatch.setenv("MPLCONFIGDIR", str(Path.home() / ".cache" / "matplotlib"))
    monkeypatch.setenv("HOME", "home")
    files = {f"own/{name}.yaml": text for name, text in OWN.items()}
    for name in ("full/x", "afile.txt", "broken/checkpoints/last.ckpt"):
        files[name] = "no checkpoint"
    for name, text in files.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)
    write_run(Path("run"))
    write_street(Path("drives"))
    save_whole_run(Path("scored"), "adaptseg", 0, 0.5)
    before = listing(Path())
    approved = (APPROVED / "mistakes" / f"{group}.txt").read_text(encoding="utf-8")
    answers = []
    for line in re.findall(r"^\$ (.*)$", approved, re.M):
        outcome = command_line(*shlex.split(line))
        assert outcome.returncode, f"no mistake: {line}"
        text = f"{outcome.stdout}{outcome.stderr}"
        answers.append(f"$ {line}\nexit {outcome.returncode}\n{text}")
    approve(f"mistakes/{group}.txt", "\n".join(answers))
    assert listing(Path()) == before
