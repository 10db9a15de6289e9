"""The command line: quick answers, folders, outcomes, resuming."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import uda_seg
from uda_seg.cli import help_text, main
from uda_seg.errors import DataError

SMALL = ["source=toytown", "target=toytown_camera", "backbone=tiny", "method=adaptseg"]
Outcome = Callable[..., Any]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Outcome:
    """Runs a command line with a train command that is a plain function."""

    def call(job: Callable[..., Any], *words: str) -> int:
        command = types.ModuleType("uda_seg.commands.train")
        command.run = job  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "uda_seg.commands.train", command)
        monkeypatch.setattr(sys, "argv", ["uda-seg", *words])
        with pytest.raises(SystemExit) as stop:
            main.main()
        return int(stop.value.code or 0)

    for name in ("LOCAL_RANK", "UDA_SEG_RUN_FOLDER"):
        monkeypatch.setenv(name, "0")  # so that what a test leaves there is undone
        monkeypatch.delenv(name)
    return call


def folders() -> list[Path]:
    return sorted(path.parent for path in Path("outputs").glob("**/.hydra"))


def test_help_shows_groups_choices_and_keys() -> None:
    for text in (help_text.overview(), help_text.of_verb("train")):
        assert "adaptseg*" in text
        assert "trainer.steps" in text
        assert "camvid" in text


ANSWERS = [
    (["--help"], 0, "examples:"),
    (["-h"], 0, "examples:"),
    (["train", "--help"], 0, "trainer.steps"),
    (["--version"], 0, uda_seg.__version__),
    (["trian"], 2, "did you mean train?"),
    (["--steps", "5"], 2, "steps=value"),
    (["--cfg", "nonsense"], 2, "--help"),
    ([*SMALL, "trainer.step=5"], 2, "a mistake in the config"),
]
ONE_AFTER_ANOTHER = """
import sys
from uda_seg.__main__ import main

for words in {lines}:
    sys.argv = ["uda-seg", *words]
    try:
        main()
    except SystemExit as stop:
        heavy = {{"torch", "timm", "lightning", "numpy"}} & set(sys.modules)
        print("code:", stop.code, "heavy:", heavy, "end of answer")
"""


UNUSED = {
    *("albumentations", "timm", "pandas", "sklearn", "skimage", "wandb", "av", "onnx", "optuna"),
    *("scipy.signal", "scipy.stats"),
}
"""What one kind of run, or another verb, is for."""


def test_a_run_imports_only_what_it_uses(tmp_path: Path) -> None:
    """But not what lightning imports: torchmetrics, and with it torchvision and matplotlib."""
    program = (
        "import sys\n"
        "from uda_seg.__main__ import main\n"
        "try:\n"
        "    main()\n"
        "except SystemExit as stop:\n"
        f"    sys.exit(stop.code or ' '.join({UNUSED} & set(sys.modules)))\n"
    )
    tiny = ["backbone=tiny", "trainer=debug", "trainer.steps=1", "logger=none"]
    small = ["source.size=[32,64]", "target.size=[32,64]", "target.length.val=2", *tiny]
    done = subprocess.run(
        [sys.executable, "-c", program, *small, f"hydra.run.dir={tmp_path}"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(uda_seg.__file__).parents[1])},
    )
    assert (tmp_path / "scores.json").is_file(), done.stderr
    assert done.stderr.splitlines()[-1].strip() == "", f"imported: {done.stderr[-200:]}"


@pytest.mark.parametrize(("end", "code"), [("sys.exit(3)", 3), ("sys.exit(0)", 0), ("1 / 0", 1)])
def test_a_process_ends_with_all_that_was_registered_and_takes_nothing_apart(
    end: str, code: int
) -> None:
    lines = f"""
        import atexit, os, sys, threading, time
        import uda_seg.__main__ as program

        class Left:
            def __del__(self, write=os.write):
                write(1, b"taken apart")

        def main():
            atexit.register(print, "registered")
            sys.left = Left()
            threading.Thread(target=lambda: (time.sleep(0.2), print("waited for"))).start()
            {end}

        program.main = main
        program.program()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(lines)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(uda_seg.__file__).parents[1])},
    )
    said = ["waited for", "registered"]
    assert (done.returncode, done.stdout.split("\n")[:2]) == (code, said)
    assert ("taken apart" in done.stdout) == ("ZeroDivisionError" in done.stderr) == (code == 1)


def test_answers_come_at_once() -> None:
    program = ONE_AFTER_ANOTHER.format(lines=[words for words, _, _ in ANSWERS])
    done = subprocess.run(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(uda_seg.__file__).parents[1])},
    )
    answers = done.stdout.split("end of answer\n")
    assert (done.returncode, answers.pop()) == (0, "")
    for (words, code, phrase), answer in zip(ANSWERS, answers, strict=True):
        assert f"code: {code} heavy: set()" in answer, words
        assert phrase in answer, words
        assert "Traceback" not in answer
    assert not Path("outputs").exists()


def test_cfg_prints_and_leaves_nothing(call: Outcome, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(lambda *_: 1 / 0, *SMALL, "--cfg", "job", "-p", "trainer", "trainer=debug") == 0
    assert "steps: 4" in capsys.readouterr().out
    assert not Path("outputs").exists()


def test_a_run_gets_its_resolved_config_and_a_folder_of_its_own(call: Outcome) -> None:
    seen = []
    for _ in range(3):  # within a second
        assert call(lambda config, folder: seen.append((config, folder)), *SMALL, "seed=3") == 0
    assert len({folder for _, folder in seen}) == 3
    config, folder = seen[0]
    assert folder.is_dir()
    assert folder.parent == Path("outputs/adaptseg_toytown_to_toytown_camera_tiny_seed3").resolve()
    assert config["run_name"] == folder.parent.name
    assert "${" not in str(config)


def test_a_users_mistake_ends_with_its_message_only(
    call: Outcome, capsys: pytest.CaptureFixture[str]
) -> None:
    def job(config: Any, folder: Path) -> None:
        raise DataError("camvid: no images under /nowhere")

    assert call(job, *SMALL) == 2
    error = capsys.readouterr().err
    assert "uda-seg: camvid: no images under /nowhere" in error
    assert "Traceback" not in error
    assert "Traceback" in (folders()[0] / "train.log").read_text()


def test_a_defect_ends_with_a_traceback(call: Outcome, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(lambda *_: 1 / 0, *SMALL) == 1
    assert "ZeroDivisionError" in capsys.readouterr().err
    assert "ZeroDivisionError" in (folders()[0] / "train.log").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_tells_how_to_go_on(
    number: int, call: Outcome, capsys: pytest.CaptureFixture[str]
) -> None:
    def job(config: Any, folder: Path) -> None:
        os.kill(os.getpid(), number)
        time.sleep(9)

    def later(config: Any, folder: Path) -> None:
        (folder / "checkpoints").mkdir()
        (folder / "checkpoints" / "last.ckpt").touch()
        job(config, folder)

    before = signal.signal(number, lambda *_: None)  # in the background they may be ignored
    try:
        assert call(job, *SMALL) == 128 + number
        assert "stopped; go on with: python -m uda_seg" in (said := capsys.readouterr()).err
        assert "resume=auto" in said.err
        assert call(later, *SMALL, "resume=auto") == 128 + number
        assert f"resume={folders()[-1].absolute()}\n" in (said := capsys.readouterr()).err
        assert "resume=auto" not in said.err
        assert "Traceback" not in said.err
    finally:
        signal.signal(number, before)


def test_a_sweep_has_a_folder_for_each_job_and_outlives_a_failure(
    call: Outcome, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = {}

    def job(config: Any, folder: Path) -> float:
        seen[config["method"]["lambda_adv"]] = folder
        if config["method"]["lambda_adv"] == 0.001:
            raise DataError("no luck")
        return 1.0

    assert call(job, *SMALL, "-m", "method.lambda_adv=0.0005,0.001,0.004") == 2
    assert list(seen) == [0.0005, 0.001, 0.004]
    names = [folder.name for folder in seen.values()]
    assert names == [f"{i}_method.lambda_adv={value}" for i, value in enumerate(seen)]
    assert len({folder.parent for folder in seen.values()}) == 1
    assert "uda-seg: no luck" in capsys.readouterr().err


def test_other_ranks_write_where_the_first_one_does(
    call: Outcome, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen = []
    words = [*SMALL, "trainer=ddp"]
    assert call(lambda config, folder: seen.append((folder, list(sys.argv))), *words) == 0
    assert seen[0][1] == ["uda-seg", *words]  # Lightning starts the others with it
    assert os.environ["UDA_SEG_RUN_FOLDER"] == str(seen[0][0])
    monkeypatch.setenv("LOCAL_RANK", "1")
    added = [f'hydra.run.dir="{seen[0][0]}"', "hydra.output_subdir=null"]  # Lightning does
    assert call(lambda config, folder: seen.append((folder, [])), *words, *added) == 0
    assert seen[0][0] == seen[1][0]
    assert len(folders()) == 1


def unfinished(config: Any, folder: Path) -> None:
    from uda_seg.runs import run_folder

    run_folder.open_run(config, folder)
    (folder / "checkpoints").mkdir(exist_ok=True)
    (folder / "checkpoints" / "last.ckpt").write_bytes(b"")


def test_resume_continues_in_the_runs_own_folder(call: Outcome) -> None:
    seen = []

    def job(config: Any, folder: Path) -> None:
        seen.append(folder)
        unfinished(config, folder)

    words = [*SMALL, "trainer=cpu"]
    assert call(job, *words, "resume=auto") == 0  # nothing to continue: afresh
    assert call(job, *words) == 0
    assert call(job, *words, "trainer.workers=1", "resume=auto") == 0
    assert seen[2] == seen[1]
    assert call(job, *words, "trainer.steps=7", "resume=auto") == 0
    assert seen[3] not in seen[:3]
    assert call(job, *words, f"resume={seen[0]}") == 0
    assert seen[4] == seen[0]
    for folder in (seen[0], seen[1]):
        (folder / "scores.json").write_text(json.dumps({"finished": True}))
    assert call(job, *words, "resume=auto") == 0
    assert seen[5] not in seen[:5]
