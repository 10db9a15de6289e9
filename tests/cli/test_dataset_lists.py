"""`source=[a,b]` on the command line: composed, checked and handed to Hydra like anything else."""

from pathlib import Path
from typing import Any

import pytest
from conftest import without_hydra
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from report.report_examples import save_run
from test_cli import Outcome, call, folders  # noqa: F401 (call is a fixture)

from uda_seg.cli.command_line import check
from uda_seg.config import conf_folder
from uda_seg.errors import ConfigError
from uda_seg.runs import run_folder

SMALL = ["backbone=tiny", "method=adaptseg"]
BOTH = ["source=[gta5,camvid]", "target=[camvid,cityscapes]"]


def config(*arguments: str, verb: str = "train", **options: Any) -> Any:
    checked = check(verb, [*(SMALL if verb == "train" else []), *arguments], **options)
    return OmegaConf.to_container(without_hydra(checked.config), resolve=True)


def complaints(*arguments: str, **options: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        config(*arguments, **options)
    return str(caught.value)


def test_a_list_becomes_members_in_its_order() -> None:
    source = config(*BOTH, "data_root=/data")["source"]
    assert list(source["datasets"]) == ["gta5", "camvid"]
    assert source["name"] == "gta5+camvid"
    assert source["datasets"]["camvid"]["root"] == "/data/camvid"
    alone = config("source=gta5", "target=camvid")["source"]
    assert source["size"] == alone["size"]
    assert source["augment"] == alone["augment"]
    assert config("source=[camvid]", "target=camvid")["source"]["name"] == "camvid"


def test_what_is_given_goes_before_what_follows() -> None:
    keys = [
        "source.size=[64,96]",
        "source.augment.flip=true",
        "source.name=mine",
        "source.datasets.camvid.root=/here",
        "source.datasets.gta5.train_split=train",
        "source.shares={gta5: 1, camvid: 3}",
        "target.like=cityscapes",
    ]
    tree = config(*keys, *BOTH)  # in any order
    source = tree["source"]
    assert (source["size"], source["name"]) == ([64, 96], "mine")
    assert source["augment"]["flip"]
    assert source["datasets"]["camvid"]["root"] == "/here"
    assert source["shares"] == {"gta5": 1, "camvid": 3}
    assert tree["target"]["size"] == tree["target"]["datasets"]["cityscapes"]["size"]
    assert tree["target"]["protocols"] == tree["target"]["datasets"]["cityscapes"]["protocols"]
    assert tree["run_name"] == "adaptseg_mine_to_camvid+cityscapes_tiny_seed0"


def test_hydra_composes_the_same() -> None:
    arguments = [*SMALL, *BOTH, "source.datasets.camvid.root=/here", "source.shares={a: 1}"]
    checked = check("train", arguments)
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        composed = compose("train", checked.overrides)
    ours = OmegaConf.to_container(checked.config, resolve=False)
    assert isinstance(ours, dict)
    ours.pop("hydra")
    hydras = OmegaConf.to_container(composed, resolve=False)
    assert isinstance(hydras, dict)
    assert hydras == ours
    # What a run wrote into its overrides.txt can be given again.
    again = check("train", checked.overrides)
    assert OmegaConf.to_container(again.config.source) == OmegaConf.to_container(
        checked.config.source
    )


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("source=[gta5,camvit]", ["source=camvit: unknown", "did you mean camvid?"]),
        ("source=[gta5,several]", ["source=several: unknown"]),
        ("source=[gta5,gta5]", ["source=[gta5,gta5]: gta5 stands in the list twice"]),
        ("source=[]", ["the list is empty"]),
        ("source=several", ["source=several: has no datasets", "source=[camvid,cityscapes]"]),
        ("+source@source.datasets.x=camvit", ["unknown", "did you mean camvid?"]),
        ("+trainer@source=cpu", ["no choice can be put elsewhere"]),
    ],
)
def test_mistakes_in_a_list(argument: str, words: list[str]) -> None:
    text = complaints("target=camvid", argument)
    assert "a mistake" in text, text
    assert all(word in text for word in words), text


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("source.datasets.camvid.rot=/x", ["did you mean source.datasets.camvid.root?"]),
        ("source.datasets.camvit.root=/x", ["did you mean source.datasets.camvid.root?"]),
        ("source.datasets.camvid.train_split=all", ["choose from train"]),
        ("source.size=[8,8]", ["at least 16"]),
        ("source.size=big", ["a list"]),
        ("source.augment.flip=5", ["true or false"]),
        ("source.root=/x", ["did you mean source.datasets."]),
        ("source.like=cityscapes", ["source.like=cityscapes", "choose from gta5, camvid"]),
        ("source=camvid", ["given twice"]),
    ],
)
def test_mistakes_below_a_list(argument: str, words: list[str]) -> None:
    text = complaints(*BOTH, argument)
    assert "a mistake" in text, text
    assert all(word in text for word in words), text


def test_other_verbs_take_lists_too() -> None:
    Path("x.ckpt").write_bytes(b"")
    target = config("target=[camvid,cityscapes]", "checkpoint=x.ckpt", verb="evaluate")["target"]
    assert list(target["datasets"]) == ["camvid", "cityscapes"]
    tree = config(*BOTH, verb="data_classes")
    assert tree["source"]["name"] == "gta5+camvid"


def test_one_list_serves_all_jobs_of_a_sweep(call: Outcome) -> None:  # noqa: F811
    seen = []

    def job(job_config: Any, folder: Path) -> float:
        seen.append((job_config["source"]["name"], job_config["seed"], folder.name))
        run_folder.open_run(job_config, folder)
        save_run(
            folder, str(job_config["method"]["name"]), job_config["seed"], 0.5
        )  # else it failed
        return 50.0

    for name in ("gta5", "camvid", "cityscapes"):
        (Path("data") / name).mkdir(parents=True)
    assert call(job, *SMALL, *BOTH, "-m", "seed=1,2") == 0
    assert seen == [("gta5+camvid", 1, "0_seed=1"), ("gta5+camvid", 2, "1_seed=2")]
    text = complaints("target=camvid", "source=[gta5,camvid],camvid", multirun=True)
    assert "cannot be one of a sweep's values" in text


def test_cfg_shows_the_members(call: Outcome, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    assert call(lambda *_: 1 / 0, *SMALL, *BOTH, "--cfg", "job", "-p", "source.datasets") == 0
    shown = capsys.readouterr().out
    assert "gta5:" in shown
    assert "camvid:" in shown
    assert not folders()


def test_ones_own_file_may_put_datasets_together(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "mix.yaml").write_text(
        "defaults:\n- several\n- /source@datasets.gta5: gta5\n- /source@datasets.camvid: camvid\n"
        "- _self_\n"
        "name: mix\nlike: camvid\n"
    )
    tree = config("source=mix", "target=camvid", own_folder=tmp_path)
    assert list(tree["source"]["datasets"]) == ["gta5", "camvid"]
    assert tree["source"]["size"] == tree["source"]["datasets"]["camvid"]["size"]
    own = config("source=[mix]", "target=camvid", "source.like=gta5", own_folder=tmp_path)
    assert own["source"]["like"] == "gta5"


def experiment(folder: Path, defaults: str, rest: str = "") -> None:
    (folder / "experiment").mkdir()
    (folder / "experiment" / "mine.yaml").write_text(
        f"# @package _global_\ndefaults:\n{defaults}\n{rest}"
    )


def test_experiments_may_put_datasets_together(tmp_path: Path) -> None:
    experiment(
        tmp_path,
        "  - /source@source.datasets.gta5: gta5\n"
        "  - /source@source.datasets.camvid: camvid\n"
        "  - override /source: several",
        "source: {name: mix, like: camvid, datasets: {camvid: {root: /x}}}",
    )
    tree = config("target=camvid", "experiment=mine", own_folder=tmp_path)
    assert tree["source"]["datasets"]["camvid"]["root"] == "/x"
    assert list(tree["source"]["datasets"]) == ["gta5", "camvid"]


def test_a_list_given_beside_an_experiment_keeps_its_values(tmp_path: Path) -> None:
    experiment(tmp_path, "  - override /trainer: debug", "source: {size: [64, 96]}")
    tree = config(*BOTH, "experiment=mine", own_folder=tmp_path)
    assert tree["source"]["size"] == [64, 96]
    assert list(tree["source"]["datasets"]) == ["gta5", "camvid"]


def test_a_list_in_an_experiment_is_refused(tmp_path: Path) -> None:
    experiment(tmp_path, "  - override /source: [gta5, camvid]")
    text = complaints("target=camvid", "experiment=mine", own_folder=tmp_path)
    assert "experiment=mine: source: a list of datasets is for the command line" in text
