"""One composition: what was checked is what Hydra composes, and what the job is handed."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from omegaconf import OmegaConf
from test_cli import Outcome, call, folders  # noqa: F401 (call is a fixture)

from uda_seg.cli import composed, output_folder
from uda_seg.cli.command_line import check
from uda_seg.config import conf_folder

SMALL = ["source=camvid", "target=camvid", "backbone=tiny", "method=adaptseg"]


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["seed=1", "seed=2"],
        ["+method.weights.more=0.5", "backbone.schedule={power: 1}"],
        ["source.root='a, b'", "target.root=~/x", "run_name=${seed}_${method.name}"],
        ["source.size=[64,96]", "source.size.0=32", "label_space=[road,car]"],
        ["experiment=toytown_to_camvid", "trainer.steps=7", "logger=[csv,wandb]"],
        ["target=[camvid,cityscapes]", "target.shares={camvid: 1}", "target.size=[64,96]"],
        ["source=folder", "source.root=x", "source.classes={7: road}", "+source.classes.8=sky"],
        ["hydra.job.name=x", "hydra.run.dir=${outputs}/${hydra.job.override_dirname}"],
    ],
)
def test_hydra_itself_composes_what_was_checked(words: list[str]) -> None:
    groups = {word.partition("=")[0] for word in words}
    given = [word for word in SMALL if word.partition("=")[0] not in groups]
    checked = check("train", [*given, *words])
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        hydras = compose("train", checked.overrides, return_hydra_config=True)
    ours: Any = OmegaConf.to_container(checked.config)
    theirs: Any = OmegaConf.to_container(hydras)
    if "hydra.job.name=x" not in words:
        theirs["hydra"]["job"]["name"] = composed.NAME
    assert ours == theirs
    again = check("train", checked.overrides)
    assert OmegaConf.to_container(again.config)["source"] == ours["source"]


def test_what_a_run_reads_has_every_interpolation_resolved_and_home_spelled_out() -> None:
    plain = check("train", [*SMALL, "target.root=~/x", "run_name=a_${seed}"]).plain[0]
    assert plain["target"]["root"] == str(Path("~/x").expanduser())
    assert plain["run_name"] == "a_0"
    assert "${" not in str(plain)


@pytest.mark.parametrize(
    ("words", "times"),
    [(SMALL, 1), ([*SMALL, "seed=3", "trainer.steps=5"], 1), (["experiment=toytown_to_camvid"], 2)],
)
def test_a_whole_run_composes_its_files_once(
    words: list[str],
    times: int,
    call: Outcome,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An experiment's twice: without it to know which keys there are, and with it."""
    composed._composed_of_ours.cache_clear()
    seen, load = list[list[str]](), ConfigLoaderImpl.load_configuration

    def counted(self: Any, name: str, overrides: list[str], *rest: Any, **more: Any) -> Any:
        seen.append(overrides)
        return load(self, name, overrides, *rest, **more)

    monkeypatch.setattr(ConfigLoaderImpl, "load_configuration", counted)
    Path("data/camvid").mkdir(parents=True)
    assert call(lambda *_: None, *words) == 0
    assert len(seen) == times, seen


def test_a_job_gets_the_checked_config_and_hydra_writes_it_down(call: Outcome) -> None:  # noqa: F811
    seen = []
    Path("data/camvid").mkdir(parents=True)
    words = [*SMALL, "seed=3", "target.root=~", "+method.weights.more=0.5"]
    assert call(lambda config, folder: seen.append((config, folder)), *words) == 0
    config, folder = seen[0]
    assert config == check("train", words).plain[0]
    stored = {path.stem: yaml.safe_load(path.read_text()) for path in folder.glob(".hydra/*")}
    assert sorted(stored) == ["config", "hydra", "overrides"]
    assert stored["overrides"] == [w.replace("=~", "='~'") for w in words]
    assert stored["config"]["seed"] == 3
    assert stored["config"]["target"]["root"] == "~"
    assert stored["hydra"]["hydra"]["run"]["dir"] == str(folder.relative_to(Path.cwd()))
    assert stored["hydra"]["hydra"]["runtime"]["output_dir"] == str(folder)


def test_a_job_of_a_sweep_gets_what_it_would_get_alone(call: Outcome) -> None:  # noqa: F811
    seen = []
    Path("data/camvid").mkdir(parents=True)
    values = ["seed=1,2", "method=adaptseg,source_only", "trainer.steps=7"]
    call(lambda config, _: seen.append(config), *SMALL[:3], *values, "-m")
    assert len(seen) == 4
    for config in seen:
        chosen = [f"seed={config['seed']}", f"method={config['method']['name']}"]
        alone = check("train", [*SMALL[:3], *chosen, "trainer.steps=7"]).plain[0]
        assert config == alone


def test_a_swept_base_of_a_method_is_what_it_would_be_alone(call: Outcome) -> None:  # noqa: F811
    seen = []
    Path("data/camvid").mkdir(parents=True)
    words = [*SMALL[:3], "method=mic", "method.ratio=0.5"]
    call(lambda *job: seen.append(job), *words, "method@method.base=road,dacs", "-m")
    assert [folder.name for _, folder in seen] == [
        f"{n}_method=mic,method@method.base={base}" for n, base in enumerate(("road", "dacs"))
    ]
    for (config, _), base in zip(seen, ("road", "dacs"), strict=True):
        assert config == check("train", [*words, f"method@method.base={base}"]).plain[0]
        assert config["method"]["name"] == f"mic_{base}"


@pytest.mark.parametrize(
    ("situation", "words", "environment"),
    [
        ("new", [], {}),
        ("named", ["hydra.run.dir=here"], {}),
        ("cluster", [], {"TORCHELASTIC_RUN_ID": "t", "WORLD_SIZE": "1"}),
        ("named", ["hydra.run.dir=here"], {"TORCHELASTIC_RUN_ID": "t", "WORLD_SIZE": "1"}),
        ("rank", [], {"LOCAL_RANK": "1", "UDA_SEG_RUN_FOLDER": "there"}),
        ("new", [], {"LOCAL_RANK": "0", "UDA_SEG_RUN_FOLDER": "there"}),
        ("resumed", ["resume=earlier"], {}),
    ],
)
def test_a_runs_folder_follows_from_its_situation(
    situation: str, words: list[str], environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    run = check("train", SMALL).plain[0]
    Path("earlier/checkpoints").mkdir(parents=True)
    Path("earlier/checkpoints/last.ckpt").write_bytes(b"")
    Path("earlier/config.yaml").write_text(yaml.safe_dump(run))
    checked = check("train", [*SMALL, *words])
    why, folder = output_folder._situation(checked, checked.plain[0])
    assert why == situation
    below = folder.parts[:2] == ("outputs", run["run_name"])
    names = {"named": "here", "rank": "there", "resumed": "earlier"}
    assert folder.name == names[why] if why in names else below
    assert folder.name.startswith("torchrun_t_") == (why == "cluster")


def test_a_tables_folder_is_always_the_same() -> None:
    checked = check("table", [])
    why, folder = output_folder._situation(checked, checked.plain[0])
    assert (why, folder.parts[0]) == ("fixed", "outputs")
