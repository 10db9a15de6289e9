"""Folders that are somebody's: refused before anything is written there."""

import json
from pathlib import Path

import pytest
from conftest import compose

from uda_seg.config import plain
from uda_seg.errors import ConfigError
from uda_seg.runs import run_folder
from uda_seg.runs.place import check_free, folder_to_resume

WORDS = ["source=camvid", "target=camvid", "backbone=tiny", "trainer=cpu", "logger=csv"]


@pytest.fixture(scope="module")
def config():
    return compose("train", WORDS)


def make(config, folder: str, done: bool = False, checkpoint: str | None = "last") -> Path:
    run_folder.open_run(config, Path(folder))
    if checkpoint:
        (Path(folder) / "checkpoints").mkdir(exist_ok=True)
        (Path(folder) / "checkpoints" / f"{checkpoint}.ckpt").touch()
    (Path(folder) / "scores.json").write_text(json.dumps({"finished": done}))
    return Path(folder)


def test_a_folder_that_was_named_must_not_hold_anything_else(config) -> None:
    now = plain(config)
    check_free(Path("new/folder"), "train", now)
    run = make(config, "run")
    with pytest.raises(ConfigError, match="this very run, unfinished; go on with resume=run"):
        check_free(run, "train", now)
    check_free(run, "train", now | {"resume": "auto"})
    with pytest.raises(ConfigError, match="unfinished run of another experiment.*\n.*was 0, is 3"):
        check_free(run, "train", now | {"seed": 3})
    make(config, "run", done=True)
    with pytest.raises(ConfigError, match="this very run, finished; name another"):
        check_free(run, "train", now)
    with pytest.raises(ConfigError, match="holds a finished run of another"):
        check_free(run, "train", now | {"seed": 3, "resume": "auto"})
    with pytest.raises(ConfigError, match="holds a training run"):
        check_free(run, "evaluate", {})
    check_free(make(config, "failed", checkpoint=None), "train", now | {"seed": 3})
    Path("own").mkdir()
    Path("own/config.yaml").write_text("my: settings\n")
    with pytest.raises(ConfigError, match="files of something else"):
        check_free(Path("own"), "train", now)
    with pytest.raises(ConfigError, match="own/config.yaml is a file"):
        check_free(Path("own/config.yaml/run"), "train", now)


def test_only_the_first_of_all_processes_writes_what_a_run_is(config, monkeypatch) -> None:
    """Under torchrun, each node has a local rank 0."""
    for name, value in {"TORCHELASTIC_RUN_ID": "a", "RANK": "2", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    run_folder.open_run(config, Path("run"))
    assert not Path("run").exists()
    monkeypatch.setenv("RANK", "0")
    run_folder.open_run(config, Path("run"))
    assert Path("run/config.yaml").is_file()


def test_auto_takes_the_newest_unfinished_run_of_the_experiment(config) -> None:
    now = plain(config) | {"resume": "auto"}
    name = f"outputs/{config['run_name']}"
    assert folder_to_resume(now) is None
    make(config, f"{name}/done", done=True)
    make(config, f"{name}/never", checkpoint=None)
    assert folder_to_resume(now) is None
    unfinished = make(config, f"{name}/sweep/0", checkpoint="label_free")
    assert folder_to_resume(now | {"data_root": "/ssd", "cache": "disk"}) == unfinished
    assert folder_to_resume(now | {"seed": 3}) is None
    assert folder_to_resume(now | {"resume": str(unfinished)}) == unfinished.resolve()


def test_a_checkpoint_in_no_run_folder_goes_on_elsewhere(config) -> None:
    Path("own").mkdir()
    Path("own/config.yaml").write_text("my: settings\n")
    Path("own/best.ckpt").touch()
    assert folder_to_resume(plain(config) | {"resume": "own/best.ckpt"}) is None
    with pytest.raises(ConfigError, match="resume=own: .* is not there"):
        folder_to_resume(plain(config) | {"resume": "own"})
