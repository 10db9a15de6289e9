"""Numbers and pictures arrive, a resumed run continues, and W&B neither asks nor raises."""

import csv
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest

from uda_seg.batch import IGNORE
from uda_seg.training import loggers

CLASSES = ["road", "car"]
WANDB = {"project": "test", "entity": None, "group": None, "tags": ["a"]}


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def shown() -> list[loggers.Shown]:
    image = np.full((8, 12, 3), 7, np.uint8)
    label = np.zeros((8, 12), np.uint8)
    label[0] = IGNORE
    return [loggers.Shown(image, {"prediction": label // 255, "ground_truth": label})]


@pytest.fixture
def nobody_logged_in(tmp_path, monkeypatch):
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))
    wandb = pytest.importorskip("wandb")
    from uda_seg.training import weights_and_biases

    monkeypatch.setattr(weights_and_biases, "UNREACHED", [])
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("W&B asked a question"))
    # It notes what is installed, two hundred packages, whenever it starts.
    monkeypatch.setattr("wandb.util.working_set", list)
    yield wandb
    wandb.finish()
    wandb.teardown()


def test_csv_has_one_row_a_step_whatever_came_when(tmp_path):
    logger = loggers.csv(tmp_path, "run", {})
    logger.log_metrics({"loss/a": 1.5, "epoch": 0}, step=10)
    logger.log_metrics({"loss/a": 1.25, "epoch": 0}, step=20)
    logger.log_metrics({"miou": 0.5}, step=20)
    logger.log_metrics({"loss/a": 1.0}, step=30)
    assert rows(tmp_path) == [
        {"step": "10", "loss/a": "1.5", "miou": ""},
        {"step": "20", "loss/a": "1.25", "miou": "0.5"},
        {"step": "30", "loss/a": "1.0", "miou": ""},
    ]


def test_csv_of_a_resumed_run_goes_on_where_its_checkpoint_was(tmp_path):
    killed = loggers.csv(tmp_path, "run", {})
    for step in (10, 20, 30):
        killed.log_metrics({"loss/a": step, "miou": 0.1}, step)
    resumed = loggers.csv(tmp_path, "run", {})
    resumed.log_metrics({"loss/a": 200.0}, 20)
    resumed.log_metrics({"loss/b": 300.0}, 30)
    assert [row["step"] for row in rows(tmp_path)] == ["10", "20", "30"]
    assert [row["loss/a"] for row in rows(tmp_path)] == ["10", "200.0", ""]
    assert [row["loss/b"] for row in rows(tmp_path)] == ["", "", "300.0"]
    assert rows(tmp_path)[0]["miou"] == "0.1"


@pytest.mark.parametrize("end", ["3", "30,", "30,3.0", "30,3.0,0.1,9\n", "\0\0\0", "x,y,z\n"])
def test_half_a_last_row_is_no_row(tmp_path, end):
    killed = loggers.csv(tmp_path, "run", {})
    for step in (10, 20):
        killed.log_metrics({"loss/a": step, "miou": 0.1}, step)
    with (tmp_path / "metrics.csv").open("a") as file:
        file.write(end)
    loggers.csv(tmp_path, "run", {}).log_metrics({"loss/a": 300.0}, 30)
    assert [row["step"] for row in rows(tmp_path)] == ["10", "20", "30"]
    assert [row["loss/a"] for row in rows(tmp_path)] == ["10", "20", "300.0"]


def test_tensorboard_has_scalars_config_and_panel(tmp_path):
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    logger = loggers.tensorboard(tmp_path, "run", {"seed": 3})
    logger.log_metrics({"miou": 0.5}, step=7)
    loggers.log_panel(logger, "panel", np.zeros((8, 12, 3), np.uint8), shown(), 7, CLASSES)
    loggers.finish([logger])
    logger.finalize("success")
    events = reading.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(e.step, e.value) for e in events.Scalars("miou")] == [(7, 0.5)]
    picture = events.Images("panel")[0]
    assert (picture.height, picture.width) == (8, 12)
    assert b"seed: 3" in events.Tensors("config/text_summary")[0].tensor_proto.string_val[0]


def test_wandb_without_a_login_runs_offline_and_keeps_its_id(tmp_path, nobody_logged_in, caplog):
    folder = tmp_path / "run"
    with caplog.at_level("INFO", "uda_seg"):
        logger = loggers.wandb(folder, "name", {"seed": 3}, **WANDB)
    run = logger.experiment
    assert run.offline
    assert dict(run.config) == {"seed": 3}
    assert list(folder.glob("wandb/offline-run-*")) != []
    assert f"wandb sync {run.settings.sync_dir}" in caplog.text
    logger.log_metrics({"miou": 0.5}, step=7)
    loggers.log_panel(logger, "panel", np.zeros((8, 12, 3), np.uint8), shown(), 7, CLASSES)
    assert not logger.broken
    assert len(list(folder.rglob("*.mask.png"))) == 2
    loggers.finish([logger])
    assert nobody_logged_in.run is None
    again = loggers.wandb(folder, "name", {"seed": 3}, **WANDB)
    assert again.experiment.id == run.id == (folder / "wandb_id.txt").read_text().strip()
    other = loggers.wandb(tmp_path / "other", "name", {}, **WANDB)
    assert other.experiment.id != run.id


def test_wandb_that_cannot_start_is_no_logger(tmp_path, nobody_logged_in, monkeypatch, caplog):
    def broken(**_):
        raise RuntimeError("disk full")

    monkeypatch.setattr(nobody_logged_in, "init", broken)
    assert loggers.wandb(tmp_path, "name", {}, **WANDB) is None
    assert "disk full" in caplog.text


def test_wandb_online_that_fails_goes_on_offline(tmp_path, nobody_logged_in, monkeypatch, caplog):
    init, modes = nobody_logged_in.init, []

    def no_network(**wanted):
        modes.append(wanted["mode"])
        if wanted["mode"] == "online":
            raise RuntimeError("no network")
        return init(**wanted)

    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setattr(nobody_logged_in, "init", no_network)
    logger = loggers.wandb(tmp_path, "name", {}, **WANDB)
    assert modes == ["online", "offline"]
    assert logger.experiment.offline
    assert "no network" in caplog.text


def test_wandb_without_a_network_logs_offline_and_does_not_ask_twice(
    tmp_path, nobody_logged_in, monkeypatch, caplog
):
    """The online attempt holds the run's id until W&B's own process ends (wandb issue 5856)."""
    from uda_seg.training import weights_and_biases

    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(weights_and_biases, "INIT_SECONDS", 1)
    run = loggers.wandb(tmp_path / "run", "name", {}, **WANDB).experiment
    assert run.offline
    part = Path(run.settings.sync_dir).resolve()
    assert weights_and_biases.parts(part.parent) == [part]
    assert len(weights_and_biases.UNREACHED) == 1
    assert caplog.text.count("W&B (online)") == 1
    other = loggers.wandb(tmp_path / "other", "name", {}, **WANDB).experiment
    assert other.offline
    assert caplog.text.count("W&B (online)") == 1


def test_a_resumed_run_names_all_parts_that_are_to_be_sent(tmp_path, nobody_logged_in, caplog):
    caplog.set_level("INFO")
    parts = []
    for _ in range(3):
        run = loggers.wandb(tmp_path / "a run", "name", {}, **WANDB).experiment
        parts.append(Path(run.settings.sync_dir).resolve())
        assert run.settings.resume == "allow"  # so that W&B puts a part behind the others
        nobody_logged_in.finish()
    from uda_seg.training import weights_and_biases as ours

    (parts[0] / f"run-{run.id}.wandb.synced").touch()
    caplog.clear()
    run = loggers.wandb(tmp_path / "a run", "name", {}, **WANDB).experiment
    parts.append(Path(run.settings.sync_dir).resolve())
    ours.finish()
    told = [line for line in caplog.messages if "not sent yet" in line]
    assert len(told) == 1
    assert shlex.split(told[0].partition("send it: ")[2]) == ["wandb", "sync", *map(str, parts[1:])]


@pytest.mark.parametrize(("given", "meant"), [("dryrun", "offline"), ("run", "online")])
def test_the_mode_is_what_the_environment_says(given, meant, nobody_logged_in, monkeypatch):
    from uda_seg.training.weights_and_biases import mode

    assert mode() == "offline"
    monkeypatch.setenv("WANDB_MODE", given)
    assert mode() == meant


def test_a_mode_that_is_none_or_a_folder_that_is_full_does_not_end_a_run(
    tmp_path, nobody_logged_in, monkeypatch, caplog
):
    from uda_seg.training import weights_and_biases

    nobody_logged_in.teardown()
    monkeypatch.setenv("WANDB_MODE", "nonsense")
    assert loggers.wandb(tmp_path / "run", "name", {}, **WANDB) is None
    monkeypatch.delenv("WANDB_MODE")
    full = OSError(28, "No space left on device")
    monkeypatch.setattr(weights_and_biases, "run_id", lambda _: (_ for _ in ()).throw(full))
    assert loggers.wandb(tmp_path / "run", "name", {}, **WANDB) is None
    assert caplog.text.count("the run goes on without it") == 2


def test_wandb_that_breaks_on_the_way_is_silent_after_one_warning(
    tmp_path, nobody_logged_in, caplog
):
    logger = loggers.wandb(tmp_path, "name", {}, **WANDB)
    nobody_logged_in.finish()
    logger.log_metrics({"miou": 0.5}, step=1)  # raises in W&B: the run is finished
    logger.log_metrics({"miou": 0.5}, step=2)
    assert caplog.text.count("goes on without it") == 1


def test_wandb_switched_off_or_not_importable_is_no_logger(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert loggers.wandb(tmp_path, "name", {}, **WANDB) is None
    monkeypatch.delitem(sys.modules, "uda_seg.training.weights_and_biases", raising=False)
    monkeypatch.delattr("uda_seg.training.weights_and_biases", raising=False)
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert loggers.wandb(tmp_path, "name", {}, **WANDB) is None
    assert "goes on without it" in caplog.text


def test_login_is_found_in_netrc(tmp_path, nobody_logged_in):
    from uda_seg.training.weights_and_biases import logged_in

    assert not logged_in()
    (tmp_path / "netrc").write_text(f"machine api.wandb.ai login user password {'0' * 40}\n")
    assert logged_in()


def test_jobs_of_a_sweep_form_a_group(tmp_path):
    from uda_seg.training.weights_and_biases import sweep_of

    assert sweep_of(tmp_path / "adaptseg" / "sweep_1" / "0_seed=1") == "adaptseg/sweep_1"
    assert sweep_of(tmp_path / "adaptseg" / "2026-11-21") is None


def test_a_job_of_a_sweep_says_in_name_and_tags_what_it_tries(tmp_path, nobody_logged_in):
    folder = tmp_path / "night" / f"3_method.lambda_adv=0.001,seed=1,source.root={'x' * 70}"
    folder.mkdir(parents=True)
    (folder.parent / "sweep.json").write_text("{}")
    run = loggers.wandb(folder, "name", {}, **WANDB).experiment
    assert run.name == "name lambda_adv=0.001 seed=1"
    assert set(run.tags) == {"a", "lambda_adv=0.001", "seed=1"}
    assert run.group == f"{tmp_path.name}/night"
    loggers.finish([])
    alone = loggers.wandb(tmp_path / "2026-11-21", "name", {}, **WANDB).experiment
    assert (alone.name, set(alone.tags), alone.group) == ("name", {"a"}, "")


def test_masks_name_what_is_ignored():
    masks = loggers.wandb_masks(shown()[0], CLASSES)
    assert list(masks) == ["prediction", "ground_truth"]
    mask = masks["ground_truth"]
    assert mask["class_labels"] == {0: "road", 1: "car", 255: "ignored"}
    assert mask["mask_data"].dtype == np.uint8
