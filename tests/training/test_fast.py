"""Switches for speed: TF32, fused optimizers, compiled parts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import compose
from torch import nn
from training.test_runs import overrides, run

from uda_seg.batch import Batch, Source, Target
from uda_seg.cli.command_line import check
from uda_seg.errors import ConfigError
from uda_seg.training import fast
from uda_seg.training.devices import check_devices
from uda_seg.training.optimization import JointOptimizer, step_repeatedly
from uda_seg.training.setup import make_adaptation, make_method

THIN = [
    "backbone=deeplab_resnet50", "backbone.encoder.name=test_resnet",
    "backbone.encoder.stride_on=conv2", "backbone.pretrained=none", "method=adaptseg",
    "method.discriminator.width=4", "source=camvid", "target=camvid",
]  # fmt: skip


@pytest.fixture(autouse=True)
def torch_as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(fast, "BACKEND", "eager")  # traced, but not compiled to C++
    before = torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()
    yield
    torch._dynamo.reset()
    torch.backends.cudnn.allow_tf32 = before[0]
    torch.set_float32_matmul_precision(before[1])


@pytest.mark.parametrize(
    ("choice", "products"), [("none", "highest"), ("convolutions", "highest"), ("all", "high")]
)
def test_tf32_is_what_was_chosen(choice: str, products: str) -> None:
    fast.set_tf32(choice)
    assert torch.backends.cudnn.allow_tf32 is (choice != "none")
    assert torch.get_float32_matmul_precision() == products


def test_by_default_torch_is_as_torch_starts() -> None:
    assert compose("train", [])["trainer"]["tf32"] == "convolutions"
    assert torch.backends.cudnn.allow_tf32
    assert torch.get_float32_matmul_precision() == "highest"


def module_of(*words: str) -> Any:
    config: Any = compose("train", [*THIN, *words])
    torch.manual_seed(0)
    return make_adaptation(config, make_method(config, list("abcd")), list("abcd"))


def gradients_of(module: Any) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    images = [torch.rand(1, 3, 48, 64, generator=generator) for _ in range(2)]
    label = torch.randint(4, (1, 48, 64), generator=generator)
    module.method.train()
    for losses in module.method.losses(Batch(Source(images[0], label), Target(images[1]))):
        module.objective(losses).backward()
    return {n: p.grad for n, p in module.named_parameters() if p.grad is not None}


def test_compiled_parts_give_the_same_gradients_under_the_same_names() -> None:
    plain, compiled = module_of(), module_of("trainer.compile=[encoder,discriminators]")
    count = torch._dynamo.utils.counters
    count.clear()
    ours, theirs = gradients_of(plain), gradients_of(compiled)
    assert count["stats"]["unique_graphs"] >= 3  # an encoder and two discriminators
    assert not count["graph_break"]
    assert ours.keys() == theirs.keys()
    assert plain.state_dict().keys() == compiled.state_dict().keys()
    for name, gradient in ours.items():
        torch.testing.assert_close(theirs[name], gradient, rtol=1e-4, atol=1e-7, msg=name)


@pytest.mark.parametrize(
    "backbone",
    [
        "vfm_tiny",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("small", "deeplab_resnet101", "daformer_pvt_v2_b5", "vfm_dinov2_base")
        ),
    ],
)
def test_an_encoder_is_one_graph(backbone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch refuses a graph with breaks; in training and in evaluation."""
    monkeypatch.setattr(fast, "OPTIONS", {"fullgraph": True})
    config = compose(
        "train",
        [f"backbone={backbone}", "backbone.pretrained=none", "method=source_only", *THIN[-2:]],
    )
    method = make_method(config, list("abcd"))
    fast.compile_parts(method, ["encoder"])
    torch._dynamo.utils.counters.clear()
    image = torch.rand(1, 3, 56, 56)
    method.network.train()(image, "source").logits.sum().backward()
    with torch.no_grad():
        method.network.eval()(image, "source")
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 2


def test_a_part_that_is_not_there_is_named() -> None:
    for words, part, match in (
        (["backbone=tiny", "method=adaptseg"], "encoder", "AdaptSegNet .* has discriminators"),
        ([*THIN[:4], "method=source_only"], "discriminators", "SourceOnly .* has encoder"),
    ):
        method = make_method(compose("train", words), list("abcd"))
        with pytest.raises(ConfigError, match=f"compile={part}: {match}"):
            fast.compile_parts(method, [part])
    for wrong in ("[decoder]", "encoder", "true", "[1]"):
        with pytest.raises(ConfigError, match="trainer.compile"):
            check("train", [f"trainer.compile={wrong}"])


def test_without_a_compiler_a_cpu_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"accelerator": "cpu", "devices": 1, "precision": "32-true", "compile": ["encoder"]}
    check_devices(settings | {"compile": []})
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(ConfigError, match=r"trainer.compile: .* compiler of C\+\+"):
        check_devices(settings)


def test_fused_optimizers_or_a_word_about_those_that_have_none() -> None:
    joint: JointOptimizer = module_of("trainer.fused=true").configure_optimizers()["optimizer"]
    assert {g["fused"] for g in joint.param_groups} == {True}
    assert {type(o).__name__ for o in joint.optimizers.values()} == {"SGD", "Adam"}
    with pytest.raises(ConfigError, match="trainer.fused=true: torch has no fused RMSprop"):
        module_of("trainer.fused=true", "backbone.optimizer._target_=torch.optim.RMSprop")


def test_fused_momentum_may_begin_late() -> None:
    """As of a head that a later round trains; torch's fused SGD alone would fail."""
    both = []
    for fused in (False, True):
        first, late = (nn.Parameter(torch.ones(3)) for _ in range(2))
        optimizer = torch.optim.SGD(
            [first, late], lr=0.1, momentum=0.9, weight_decay=0.01, fused=fused, foreach=False
        )
        for step in range(4):
            first.grad = torch.full((3,), 1.0 + step)
            late.grad = torch.full((3,), 2.0 + step) if step >= 2 else None
            step_repeatedly(optimizer, {})
        both.append(torch.cat([first, late]))
    torch.testing.assert_close(both[0], both[1], rtol=0, atol=1e-6)


def test_a_run_goes_on_with_other_switches(camvid: Path, tmp_path: Path) -> None:
    """Compiled and fused, then neither, then both; the checkpoint is that of a plain run."""
    words = ["trainer.steps=4", "trainer.checkpoint_every=1", "backbone.schedule.total=9"]
    fast_words = ["trainer.fused=true", "trainer.compile=[discriminators]", "trainer.tf32=all"]
    folder = tmp_path / "run"
    plain = run(tmp_path / "plain", overrides(camvid, *words))
    run(folder, overrides(camvid, *words, *fast_words, "trainer.steps=1"))
    run(folder, overrides(camvid, *words, "trainer.steps=2", f"resume={folder}"))
    last = run(folder, overrides(camvid, *words, *fast_words, f"resume={folder}"))
    assert last["global_step"] == 4
    assert last["state_dict"].keys() == plain["state_dict"].keys()
    for name, value in plain["state_dict"].items():
        torch.testing.assert_close(last["state_dict"][name], value, rtol=1e-2, atol=1e-3)
