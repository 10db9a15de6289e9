"""What cannot be resumed is said before anything is changed."""

from pathlib import Path

import pytest
from conftest import compose
from test_runs import overrides

from uda_seg.commands import train
from uda_seg.errors import ConfigError, WeightsError

EVERY = ["trainer.validate_every=2", "trainer.checkpoint_every=2"]


@pytest.fixture
def run(camvid: Path) -> Path:
    folder = Path("run")
    folder.mkdir()
    train.run(
        compose("train", overrides(camvid, *EVERY, "trainer.steps=2", "method.levels=single")),
        folder,
    )
    return folder


def resume(camvid: Path, folder: Path, *more: str) -> float | None:
    settings = overrides(camvid, *EVERY, *more, f"resume={folder}", "trainer.steps=4")
    return train.run(compose("train", settings), folder)


def state(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_was_another_run_is_refused_and_nothing_changes(camvid: Path, run: Path) -> None:
    before = state(run)
    other = {"method": "adaptseg", "source": "camvid", "target": "camvid", "backbone": "tiny"}
    for group in other:
        given = {name: {"name": value} for name, value in {**other, group: "another"}.items()}
        with pytest.raises(ConfigError, match=f"its run had {group}=.*, not {group}=another"):
            train.check_resumed(run / "checkpoints" / "last.ckpt", given)
    settings = [word for word in overrides(camvid) if "camvid" not in word]
    config = compose("train", [*settings, f"resume={run}"])
    with pytest.raises(ConfigError, match=r"source=camvid target=camvid, not .*initial="):
        train.run(config, run)
    assert state(run) == before


def test_other_players_of_the_same_method_are_refused(camvid: Path, run: Path) -> None:
    with pytest.raises(ConfigError, match=r"overrides\.txt in its folder.*Missing key"):
        resume(camvid, run, "method.levels=multi")


def test_a_broken_checkpoint_is_named(camvid: Path, run: Path) -> None:
    (run / "checkpoints" / "last.ckpt").write_bytes(b"\x00garbage" * 50)
    with pytest.raises(WeightsError, match=r"run/checkpoints/last\.ckpt: is no checkpoint"):
        resume(camvid, run, "method.levels=single")


def test_a_longer_run_goes_on(camvid: Path, run: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        resume(camvid, run, "method.levels=single")
    assert "continuing from run/checkpoints/last.ckpt" in caplog.text
