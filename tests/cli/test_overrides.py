"""All mistakes of a command line, told at once and with their cure, before anything is built."""

from pathlib import Path

import pytest
import torch
from conftest import without_hydra

from uda_seg.cli.command_line import check
from uda_seg.config import plain
from uda_seg.errors import ConfigError, WeightsError
from uda_seg.runs import run_folder
from uda_seg.runs.trained import evaluation_config

SMALL = ["source=camvid", "target=camvid", "backbone=tiny", "method=adaptseg"]


def complaints(*arguments: str, multirun: bool = False, verb: str = "train") -> list[str]:
    with pytest.raises(ConfigError) as caught:
        check(verb, [*(SMALL if verb == "train" else []), *arguments], multirun)
    return str(caught.value).split("\n  ")[1:]


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("trainer.step=5", ["trainer.steps?", "batch_size"]),
        ("steps=5", ["did you mean trainer.steps?"]),
        ("backbone.lr=1", ["did you mean backbone.optimizer.lr?"]),
        ("trainer.steps.much=5", ["trainer.steps holds a single value"]),
        ("trainer.steps=ten", ["trainer.steps=ten", "whole number"]),
        ("trainer.steps=1e5", ["whole number"]),
        ("trainer.steps=null", ["whole number"]),
        ("trainer.steps=0", ["at least 1"]),
        ("trainer.clip_norm=0", ["at least 1e-06"]),
        ("trainer.precision=fp16", ["choose from 32-true"]),
        ("trainer.progress=1", ["true or false"]),
        ("trainer.optimizer=x", ["unknown key"]),
        ("source.augment=3", ["must be a mapping; give its keys one by one: scale, crop"]),
        ("source.augment=[1,2]", ["must be a mapping"]),
        ("trainer=gpus", ["did you mean gpu?", "auto, cpu"]),
        ("logger=[csv,wandbb]", ["did you mean wandb?"]),
        ("trainer=null", ["choose from"]),
        ("trainer={steps: 3}", ["one by one"]),
        ("trainer=3", ["choose from"]),
        ("source.size=[a,3]", ["each element a whole number"]),
        ("source.size=[8,3]", ["at least 16"]),
        ("run_name=5", ["must be text", "quotes"]),
        ("inference={mode: slid, flips: true}", ["did you mean slide?"]),
        ("inference={flips: true}", ["did you mean inference.flip?"]),
        ("inference=slide", ["a mapping"]),
        ("inference.window=[64,64]", ["would do nothing", "add inference.mode=slide"]),
        ("inference={stride: [64,64]}", ["inference.stride: would do nothing"]),
        ("trainer.steps=1,2", ["add -m"]),
        ("trainer=cpu,gpu", ["add -m"]),
        ("+trainer.steps=1", ["drop the +"]),
        ("+trainer=cpu", ["given twice"]),
        ("+new=1", ["below an existing mapping"]),
        ("~trainer", ["needed"]),
        ("~trainer.steps", ["needed"]),
        ("foo", ["key=value"]),
        ("foo=[1", ["cannot be read"]),
        ("data_root=${oc.env:SURELY_NOT_SET}", ["data_root=", "SURELY_NOT_SET"]),
        ("seed=${no.such.key}", ["seed=${no"]),
        ("table=toytown", ["no such group"]),
        ("method=source_only", ["given twice"]),
        ("hydra.job.nam=x", ["hydra.job.nam"]),
        ("resume=nowhere", ["resume=nowhere", "resume=auto"]),
        ("initial=nowhere.ckpt", ["initial=nowhere.ckpt"]),
    ],
)
def test_a_mistake_names_the_cure(argument: str, words: list[str]) -> None:
    arguments = ["trainer=gpu", argument] if argument == "+trainer=cpu" else [argument]
    lines = complaints(*arguments)
    text = "\n".join(lines)
    assert all(word in text for word in words), text
    assert len(lines) == (2 if argument.startswith("inference={mode") else 1), text


def test_all_mistakes_are_told_at_once() -> None:
    lines = complaints("trainer.step=5", "seed=x", "foo", "trainer.workers=-1", "source.roots=/x")
    assert len(lines) == 5


def test_what_is_below_an_unknown_choice_is_not_judged() -> None:
    arguments = ["source=camvid", "target=camvid", "backbone=tiny", "method=adaptsegg"]
    with pytest.raises(ConfigError, match="did you mean adaptseg") as caught:
        check("train", [*arguments, "method.whatever=5"])
    assert "whatever" not in str(caught.value)


def test_right_values_pass_in_all_shapes() -> None:
    config = check(
        "train",
        [
            *SMALL,
            "trainer.steps=5",
            "trainer.clip_norm=2",
            "method.lambda_adv=1",
            "method.weights.segmentation=2",
            "backbone.schedule={power: 1}",
            "label_space=[road,car]",
            "logger=[csv,wandb]",
            "logger.wandb.tags=[a,b]",
            "+method.weights.more=0.5",
            "seed=${trainer.steps}",
            "trainer.deterministic=false",
            "run_name='a, b'",
            "source.root=${data_root}/elsewhere",
        ],
    ).config
    assert config.seed == config.trainer.steps == 5
    assert config.backbone.schedule.power == 1
    assert config.backbone.schedule.warm_up == 0
    assert config.run_name == "a, b"


@pytest.mark.parametrize(("size", "count"), [(3, 2), (2, 4), (1, 2)])
def test_a_batch_that_is_not_cut_into_equal_pieces_is_refused(size: int, count: int) -> None:
    told = complaints(f"trainer.batch_size={size}", f"trainer.accumulate={count}")
    assert len(told) == 1
    assert f"trainer.accumulate={count}: a batch of trainer.batch_size={size} is not cut" in told[0]
    check("train", [*SMALL, "trainer.batch_size=6", "trainer.accumulate=3"])


def test_every_pair_that_a_sweep_would_try_is_checked() -> None:
    told = complaints("trainer.batch_size=2,3,4", "trainer.accumulate=1,2,4", multirun=True)
    pairs = [(int(line[19]), int(line.partition("batch_size=")[2][0])) for line in told]
    assert pairs == [(4, 2), (2, 3), (4, 3)]


def test_sweeps_are_checked_value_by_value() -> None:
    sweep = ["method.lambda_adv=0.1,high", "trainer.steps=range(0,3)", "trainer.workers=1,2"]
    lines = complaints(*sweep, multirun=True)
    assert len(lines) == 2
    assert "method.lambda_adv=high" in lines[0]
    assert "trainer.steps=0" in lines[1]
    lines = complaints("seed=1,2", "trainer=cpu,gpus", multirun=True)
    assert len(lines) == 1
    assert "gpu" in lines[0]


def test_a_sweep_over_groups_is_checked_for_each_choice() -> None:
    arguments = ["source=camvid", "target=camvid", "backbone=tiny", "method.lambda_adv=0.1"]
    check("train", [*arguments, "method=adaptseg"], multirun=True)
    with pytest.raises(ConfigError, match=r"method\.lambda_adv: unknown key"):
        check("train", [*arguments, "method=adaptseg,source_only"], multirun=True)


def test_experiments_may_set_only_what_exists(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    file = tmp_path / "experiment" / "mine.yaml"
    file.write_text(
        "# @package _global_\n"
        "defaults: [override /trainer: debug]\n"
        "trainer: {step: 5, workers: many}\nseed: 3\n"
    )
    with pytest.raises(ConfigError) as caught:
        check("train", [*SMALL, "experiment=mine"], own_folder=tmp_path)
    assert "did you mean trainer.steps?" in str(caught.value)
    assert "trainer.workers=many" in str(caught.value)
    file.write_text("# @package _global_\ndefaults: [override /trainer: debug]\nseed: 3\n")
    config = check("train", [*SMALL, "experiment=mine"], own_folder=tmp_path).config
    assert (config.seed, config.trainer.steps) == (3, 4)


def test_an_experiment_may_name_the_classes_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(
        "# @package _global_\n"
        "defaults: [override /source: folder]\n"
        "source: {root: ., classes: {0: road, 7: car}}\n"
    )
    config = check("train", [*SMALL[1:], "experiment=mine"], own_folder=tmp_path).config
    assert config.source.classes == {0: "road", 7: "car"}


@pytest.fixture
def finished_run() -> Path:
    """The folder of a run, as far as a later command reads it."""
    folder = Path("outputs/run").resolve()
    config = check("train", [*SMALL, "target.size=[32,48]"]).config
    run_folder.open_run(without_hydra(config), folder)
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "last.ckpt").write_bytes(b"")
    return folder


def test_evaluate_knows_the_runs_own_target(finished_run: Path) -> None:
    given = ["target.rooot=/x", "target.size=big", f"checkpoint={finished_run}"]
    lines = complaints(*given, verb="evaluate")
    assert "did you mean target.root?" in lines[0]
    assert len(lines) == 2
    checked = check("evaluate", [f"checkpoint={finished_run}", "target.root=/x"])
    assert "++target.root=/x" in checked.overrides


@pytest.mark.parametrize("override", ["target.root=/x", "target=camvid", "split=test"])
def test_evaluation_has_a_complete_target(finished_run: Path, override: str) -> None:
    config = check("evaluate", [f"checkpoint={finished_run}", override]).config
    complete = evaluation_config(plain(without_hydra(config)))
    assert complete["target"]["name"] == "camvid"
    assert complete["run"]["method"]["name"] == "adaptseg"
    assert complete["checkpoint"] == str(finished_run / "checkpoints" / "last.ckpt")
    assert (complete["target"]["root"] == "/x") == (override == "target.root=/x")
    assert (complete["target"]["size"] == [32, 48]) == (override != "target=camvid")


def test_evaluate_needs_a_checkpoint() -> None:
    assert complaints(verb="evaluate") == ["checkpoint: missing, add checkpoint=…"]
    assert "checkpoint=nowhere" in complaints("checkpoint=nowhere", verb="evaluate")[0]


def test_evaluation_reads_the_config_in_a_checkpoint_that_was_moved(finished_run: Path) -> None:
    stored = run_folder.stored_config(finished_run)
    facts = {"config": stored, "classes": ["road"]}
    state = {"method.network.head.weight": torch.zeros(1)}
    torch.save({"state_dict": state, "global_step": 1, "hyper_parameters": facts}, "moved.ckpt")
    config = check("evaluate", ["checkpoint=moved.ckpt", "target.root=/x"]).config
    # Hydra sets what the check could not judge.
    config.target = {"root": "/x"}
    complete = evaluation_config(plain(without_hydra(config)))
    assert (complete["target"]["root"], complete["target"]["name"]) == ("/x", "camvid")
    torch.save({"weights": 1}, "moved.ckpt")
    with pytest.raises(WeightsError, match="is no checkpoint of a run"):
        evaluation_config(plain(without_hydra(config)))
