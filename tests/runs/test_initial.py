"""What a run may start from: heads by the names of classes, and one message for what is none."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from uda_seg.config import build
from uda_seg.errors import ConfigError, UserError, WeightsError
from uda_seg.runs import weights
from uda_seg.runs.initial import check_initial, class_dimensions, start

TINY: dict[str, Any] = {
    "_target_": "uda_seg.networks.tiny.TinyNetwork", "name": "tiny",
    "width": 4, "auxiliary": True, "batch_norm": "train", "mean": [0.5] * 3, "std": [0.5] * 3,
    "head_factor": 1.0, "depth_head": False,
}  # fmt: skip
CLASSES = ["road", "sky", "car"]


def tiny(classes: int, **changes: Any) -> nn.Module:
    return build(TINY | changes, classes=classes)


def checkpoint(network: nn.Module, path: str = "run.ckpt", classes: list[str] = CLASSES) -> str:
    state = {f"{weights.PREFIX}{key}": value for key, value in network.state_dict().items()}
    facts = {"config": {"backbone": TINY}, "classes": classes}
    torch.save({"state_dict": state, "global_step": 3, "hyper_parameters": facts}, path)
    return path


def settings(initial: str, heads: str = "by_name", **changes: Any) -> dict[str, Any]:
    return {"initial": initial, "initial_heads": heads, "backbone": TINY | changes}


def test_heads_are_mapped_by_the_names_of_classes(caplog: pytest.LogCaptureFixture) -> None:
    old, new = tiny(3), tiny(3)
    before = {key: value.clone() for key, value in new.state_dict().items()}
    config = settings(checkpoint(old))
    check_initial(config)
    with caplog.at_level("INFO"):
        assert start(new, config, ["car", "bus", "road"]) == "run.ckpt"
    for head in ("head", "auxiliary_head"):
        for kind in ("weight", "bias"):
            theirs, ours = (n.state_dict()[f"{head}.{kind}"] for n in (old, new))
            assert torch.equal(ours[0], theirs[2])
            assert torch.equal(ours[1], before[f"{head}.{kind}"][1])
            assert torch.equal(ours[2], theirs[0])
    assert torch.equal(new.state_dict()["early.0.weight"], old.state_dict()["early.0.weight"])
    assert "2 of 3 classes by name; at random: bus; left out: sky" in caplog.text


def test_the_same_classes_are_taken_whole_and_new_heads_left_alone() -> None:
    old, new, fresh = tiny(3), tiny(3), tiny(5)
    config = settings(checkpoint(old))
    start(new, config, CLASSES)
    for key, value in old.state_dict().items():
        assert torch.equal(new.state_dict()[key], value)
    head = fresh.state_dict()["head.weight"].clone()
    start(fresh, config | {"initial_heads": "new"}, [*CLASSES, "bus", "train"])
    assert torch.equal(fresh.state_dict()["head.weight"], head)
    assert torch.equal(fresh.state_dict()["late.0.weight"], old.state_dict()["late.0.weight"])
    with pytest.raises(ConfigError, match="none of its classes .*initial_heads=new"):
        start(tiny(2), config, ["tree", "water"])


def test_a_depth_head_may_come_or_go() -> None:
    with_depth = tiny(3, depth_head=True)
    start(with_depth, settings(checkpoint(tiny(3)), depth_head=True), CLASSES)
    start(tiny(3), settings(checkpoint(with_depth)), CLASSES)
    assert class_dimensions(TINY | {"depth_head": True}, 3).keys() == {
        "head.weight", "head.bias", "auxiliary_head.weight", "auxiliary_head.bias",
    }  # fmt: skip


def test_a_file_of_plain_tensors_has_heads_without_names(caplog: pytest.LogCaptureFixture) -> None:
    old, new = tiny(3), tiny(3)
    torch.save({"state_dict": {f"module.{k}": v for k, v in old.state_dict().items()}}, "w.pth")
    check_initial(settings("w.pth"))
    with caplog.at_level("INFO"):
        start(new, settings("w.pth"), CLASSES)
    assert torch.equal(new.state_dict()["head.weight"], old.state_dict()["head.weight"])
    assert "names no classes" in caplog.text
    with pytest.raises(ConfigError, match="does not say which .*initial_heads=new"):
        start(tiny(2), settings("w.pth"), ["road", "sky"])
    start(tiny(2), settings("w.pth", "new"), ["road", "sky"])


def test_another_backbone_is_refused_before_anything_is_built() -> None:
    wide = checkpoint(tiny(3, width=8))
    with pytest.raises(ConfigError, match=r"does not fit backbone=tiny: \d+ of \d+ weights differ"):
        check_initial(settings(wide))
    torch.save({"conv1.weight": torch.zeros(3), "layer1.bias": torch.zeros(3)}, "official.pth")
    with pytest.raises(ConfigError, match="official.pth: does not fit .*backbone.pretrained=FILE"):
        check_initial(settings("official.pth", pretrained="hub"))


class Stranger:
    """Pickled as a whole, as some authors do."""


def broken(kind: str) -> str:
    path = Path(f"{kind}.ckpt")
    whole = Path(checkpoint(tiny(3))).read_bytes()
    content = {
        "empty": b"", "text": b"hi\n", "cut": whole[:400], "half": whole[: len(whole) // 2],
        "zeros": bytes(5000), "lfs": b"version https://git-lfs.github.com/spec/v1\noid x\n",
        "page": b"<!DOCTYPE html><html>404</html>", "noise": bytes(range(256)) * 9,
        "picture": b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
    }  # fmt: skip
    if kind in content:
        path.write_bytes(content[kind])
    elif kind == "foreign":
        torch.save({"a": torch.zeros(3)}, path)
    elif kind == "number":
        torch.save(3, path)
    elif kind == "old":
        torch.save({"a": torch.zeros(3)}, path, _use_new_zipfile_serialization=False)
    elif kind == "objects":
        torch.save({"state_dict": {}, "model": Stranger()}, path)
    elif kind == "safetensors":
        from safetensors.torch import save_file

        path = path.with_suffix(".safetensors")
        save_file({"a": torch.zeros(3)}, path)
    elif kind == "bare":
        torch.save({"state_dict": {}, "hyper_parameters": {"config": {}}}, path)
    return str(path)


WORDS = {
    "empty": "is empty", "text": "is a text file", "cut": "damaged or cut off", "half": "cut off",
    "zeros": "begins with zeros", "lfs": "git lfs pull", "page": "is a web page",
    "noise": "no checkpoint", "picture": "no checkpoint", "foreign": "is no checkpoint of a run",
    "number": "holds no weights", "old": "is no checkpoint of a run", "objects": "Python objects",
    "safetensors": "is no checkpoint of a run", "bare": "no complete checkpoint: global_step",
}  # fmt: skip


@pytest.mark.parametrize("kind", WORDS)
def test_a_file_that_is_no_checkpoint_gets_one_message(kind: str) -> None:
    path = broken(kind)
    with pytest.raises(WeightsError, match=WORDS[kind]) as error:
        weights.read_checkpoint(Path(path), "checkpoint")
    words = str(error.value)
    assert words.startswith(f"checkpoint={path}: ")
    assert "weights_only" not in words
    assert "\n" not in words
    with pytest.raises(UserError, match=f"initial={path}"):
        check_initial(settings(path))
