"""Every line of command_lines.txt, answered as it says: at once, and with nothing written."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import without_hydra

from uda_seg.cli import launch, main
from uda_seg.cli.command_line import check
from uda_seg.config import plain
from uda_seg.errors import UserError

TEXT = Path(__file__).with_name("command_lines.txt").read_text(encoding="utf-8")
LINES = [
    tuple(line.rsplit(" => ", 1)) for line in TEXT.splitlines() if line and not line.startswith("#")
]
FOLDER = "defaults: [folder, _self_]\nname: a\n"
OWN = {
    "source/right": f"{FOLDER}root: ~/pics\nclasses: {{0: road, 1: car}}\n",
    "source/twice": f"{FOLDER}root: /x\ncolors: {{a: [1, 2, 3]}}\ncolors: {{b: [1, 2, 3]}}\n",
    "source/tab": f"{FOLDER}\troot: /x\n",
    "source/indented": f"{FOLDER}  root: /x\n",
    "source/quote": "defaults: [folder, _self_]\nname: 'a\nroot: /x\n",
    "source/words": "only words\n",
    "source/empty": "",
    "source/stranger": f"{FOLDER}root: full\n_target_: os.system\n",
    "source/nowhere": f"{FOLDER}root: full\n_target_: uda_seg.data.foldr.Folder\n",
    "source/older": f"{FOLDER}root: full\n_target_: uda_seg.data.camvid.CamVid\n",
    "source/typo": f"{FOLDER}root: full\nimges: x\n",
    "method/recorded": "defaults: [adaptseg, _self_]\nname: mine\nfacts: [gan, lamda_adv]\n",
    "method/misspelt": "defaults: [adaptseg, _self_]\nname: mine\nlambda_adv_feature: 0.1\n",
    "source/small": f"{FOLDER}root: full\nsize: [64, -1]\n",
    "source/base": "defaults: [foldr, _self_]\nname: a\n",
    "source/listed": f"{FOLDER}root: full\nclasses: [road, car]\n",
    "source/defaults": "defaults: folder\nname: a\n",
    "experiment/gpux": "# @package _global_\ndefaults:\n  - override /trainer: gpux\n",
    "experiment/bare": "trainer:\n  steps: 3\n",
    "experiment/on_road": "# @package _global_\ndefaults:\n  - override /method: mic\n"
    "  - override /method@method.base: road\nmethod: {base: {lambda_dist: 0.5}}\n",
    "trainer/mine": "defaults: [auto]\nstep: 5\n",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the lines are typed."""
    place = tmp_path_factory.mktemp("lines")
    folders = "data/camvid bücher a=b a,b c#1 [x] drives run/checkpoints full home/pics home/own"
    for name in [
        *folders.split(),
        "my pics",
        "own/source",
        "own/experiment",
        "own/trainer",
        "own/method",
    ]:
        (place / name).mkdir(parents=True)
    files = "afile.txt weights.pth drives/a.png a,b/c.png full/x run/checkpoints/last.ckpt"
    for name in [*files.split(), "run/scores.json"]:
        (place / name).write_text("{}")
    config = check("train", ["source=toytown", "target=camvid", "backbone=tiny"]).config
    (place / "run" / "config.yaml").write_text(yaml.safe_dump(plain(without_hydra(config))))
    for name, text in OWN.items():
        (place / "own" / f"{name}.yaml").write_text(text)
    latin = "defaults: [folder, _self_]\nname: straße\n"
    (place / "own" / "source" / "latin.yaml").write_bytes(latin.encode("latin-1"))
    return place


def files(place: Path) -> list[str]:
    walked = os.walk(place)
    return sorted(os.path.join(top, name) for top, inner, names in walked for name in inner + names)


def answer(words: list[str]) -> str:
    try:
        return "ok" if main._main(words) == 0 else "no exit code 0"
    except UserError as error:
        return str(error) if error.exit_code == 2 else f"exit code {error.exit_code}: {error}"


@pytest.mark.parametrize(("line", "phrase"), LINES, ids=[line for line, _ in LINES])
def test_line(line: str, phrase: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = shlex.split(line)
    monkeypatch.chdir(place)
    monkeypatch.setenv("HOME", str(place / "home"))
    if "--cfg" not in words:
        monkeypatch.setattr(launch, "launch", lambda *_, **__: 0)
    monkeypatch.setattr(sys, "argv", ["uda-seg", *words])
    before = files(place)
    answered = answer([word.replace("~/own", f"{place}/home/own") for word in words])
    assert answered == "ok" if phrase == "ok" else phrase in answered
    assert files(place) == before


def test_there_are_many_lines_of_every_verb() -> None:
    from uda_seg.cli import help_text

    assert len(LINES) >= 150
    for verb in help_text.verbs():
        assert any(line.startswith(f"{help_text.spoken(verb)} ") for line, _ in LINES), verb


def test_nothing_heavy_is_imported(place: Path) -> None:
    wrong = [line for line, phrase in LINES if phrase != "ok" and not line.startswith("--")]
    program = (
        "import os, shlex, sys\n"
        f"os.chdir({str(place)!r})\n"
        "from uda_seg.cli import main\n"
        "from uda_seg.errors import UserError\n"
        f"for line in {wrong[::10]!r}:\n"
        "    try:\n"
        "        print('no mistake:', line, main._main(shlex.split(line)))\n"
        "    except UserError:\n"
        "        pass\n"
        "print({'torch', 'timm', 'lightning'} & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr
