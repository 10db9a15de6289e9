"""What a step needs: estimated before it, measured while it runs; and how it is made to fit."""

import json
import logging
from pathlib import Path

import pytest
import torch
from conftest import compose
from torch.profiler import ProfilerActivity, profile

from uda_seg.config import conf_folder
from uda_seg.training import memory_presets, setup
from uda_seg.training.memory import GIB, Need, estimate, example_batch, run_step
from uda_seg.training.memory_presets import fit, ways

CLASSES = ["road", "car", "sky", "person"]
SMALL = "source=camvid target=camvid trainer=cpu source.size=[96,128] target.size=[96,128]".split()
EXPERIMENTS = sorted(path.stem for path in Path(conf_folder(), "experiment").glob("*.yaml"))


def config_of(words):
    return compose("train", [*SMALL, *words.split()])


def measured(config):
    """The most bytes that torch's allocator held at once in a step."""
    method = setup.make_method(config, CLASSES)
    module = setup.make_adaptation(config, method, CLASSES)
    optimizer = module.configure_optimizers()["optimizer"]
    batch = example_batch(config, method)
    run_step(module, optimizer, batch, config["trainer"]["precision"])
    optimizer.zero_grad()
    states = [s for o in optimizer.optimizers.values() for s in o.state.values()]
    held = [*method.parameters(), *method.buffers(), *(v for s in states for v in s.values())]
    held += [*vars(batch.source).values(), *vars(batch.target).values()]
    storages = [t.untyped_storage() for t in held if isinstance(t, torch.Tensor)]
    live = most = sum({one.data_ptr(): one.nbytes() for one in storages}.values())
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as watched:
        run_step(module, optimizer, batch, config["trainer"]["precision"])
    events = [e for e in watched.profiler.kineto_results.events() if e.name() == "[memory]"]
    for event in sorted(events, key=lambda event: event.start_ns()):
        live += event.nbytes()
        most = max(most, live)
    return most


@pytest.mark.parametrize(
    "words",
    [
        "backbone=tiny method=source_only",
        "backbone=tiny method=minent trainer.accumulate=2",
        "backbone=tiny method=rpt trainer.accumulate=2",
        "backbone=tiny method=dacs trainer.precision=bf16-mixed",
        "backbone=tiny method=road",
        "backbone=small backbone.pretrained=none method=adaptive_bn",
        "backbone=small backbone.pretrained=none method=adaptive_bn trainer.checkpointing=true",
        "backbone=hrda_tiny method=hrda",
    ],
)
def test_the_estimate_is_what_a_step_takes(words):
    config = config_of(words)
    need = estimate(setup.make_method(config, CLASSES), config)
    assert need.missing is None
    assert need.most == pytest.approx(measured(config), rel=0.15)
    assert need.most > need.weights + need.optimizer + need.gradients


def test_the_estimate_leaves_a_method_as_it_is():
    config = config_of("backbone=tiny method=dacs trainer.checkpointing=true")
    method = setup.make_method(config, CLASSES)
    before = {name: value.clone() for name, value in method.state_dict().items()}
    first = estimate(method, config)
    assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())
    assert type(method.network.early) is torch.nn.Sequential
    assert estimate(method, config) == first


def test_a_preset_tries_what_changes_least_first():
    own = {"checkpointing": False, "precision": "32-true", "batch_size": 4, "accumulate": 1}
    less = {"checkpointing": True}
    half = less | {"precision": "bf16-mixed"}
    assert list(ways(own)) == [
        {}, less, half, half | {"accumulate": 2}, half | {"accumulate": 4},
    ]  # fmt: skip
    settled = own | {"checkpointing": True, "precision": "bf16-mixed", "batch_size": 1}
    assert list(ways(settled)) == [{}]


def as_if(trainer):
    """18 GiB a batch in 32 bits, half of it with checkpointing, half with bfloat16, shared."""
    size = 18.0 / trainer["accumulate"]
    size /= 2 if trainer["checkpointing"] else 1
    return Need(0, 0, 0, int(size / (2 if trainer["precision"] == "bf16-mixed" else 1) * GIB))


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_presets_keep_the_recipe_of_every_experiment(experiment):
    config = compose("train", [f"experiment={experiment}", "memory=8gb"])
    for preset in ("8gb", "11gb", "16gb", "24gb", "80gb"):
        asked = config | {"memory": preset}
        fitted = fit(asked, lambda tried: as_if(tried["trainer"]))
        mine, own = fitted["trainer"], config["trainer"]
        changed = {key for key in own if mine[key] != own[key]}
        assert changed <= {"checkpointing", "precision", "accumulate"}
        assert mine["batch_size"] % mine["accumulate"] == 0
        assert fitted == asked | {"trainer": mine}


def test_the_smallest_is_taken_and_said_where_nothing_fits(caplog):
    config = config_of("backbone=tiny method=dacs memory=8gb trainer.batch_size=2")
    with caplog.at_level(logging.INFO):
        chosen = fit(config, lambda tried: Need(0, 0, 0, 99 * as_if(tried["trainer"]).most))
    assert chosen["trainer"]["accumulate"] == 2
    assert "may not fit" in caplog.text
    assert "batch norm's statistics" in caplog.text


@pytest.mark.parametrize("trainer", ["cpu", "gpu"])
def test_a_dry_run_says_what_it_needs_and_trains_nothing(command_line, tmp_path, trainer):
    """With or without the GPU that the run itself would need."""
    small = "source.size=[96,128] target.size=[96,128] trainer.steps=1".split()
    answer = command_line("backbone=tiny", f"trainer={trainer}", "dry_run=true", *small)
    assert answer.returncode == 0, answer.stderr
    assert "memory: a step needs about" in answer.stdout + answer.stderr
    assert not list(tmp_path.rglob("*.ckpt"))
    assert not list(tmp_path.rglob("scores.json"))


@pytest.mark.slow
def test_a_run_is_made_to_fit_and_says_so(command_line, tmp_path, monkeypatch):
    monkeypatch.setattr(memory_presets, "OWN", 8 * GIB - 1)  # a card with no room at all
    small = "source.size=[96,128] target.size=[96,128] trainer.batch_size=2".split()
    words = ["backbone=tiny", "method=minent", "trainer=debug", "memory=8gb", *small]
    answer = command_line(*words)
    assert answer.returncode == 0, answer.stderr
    (scores,) = tmp_path.rglob("scores.json")
    found = json.loads(scores.read_text())["memory"]
    assert found["preset"] == "8gb"
    assert found["changed"]["checkpointing"] is True
    again = command_line(*words, f"resume={scores.parent}")
    assert again.returncode == 0, again.stderr
