"""Files that answer as the network does, and a card whose lines run."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from conftest import compose
from PIL import Image

from uda_seg.commands.export import run
from uda_seg.config import build, conf_folder
from uda_seg.data.datasets.gta5 import GTA5
from uda_seg.data.toytown import ToyTown
from uda_seg.errors import CheckError, ConfigError, DataError
from uda_seg.evaluation import scores
from uda_seg.export import agreement, terms

CLASSES = ["road", "building", "sky", "car"]


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A run folder as training leaves it, with weights under which all classes occur."""
    node = yaml.safe_load((conf_folder() / "backbone/tiny.yaml").read_text())
    node |= {"depth_head": True, "batch_norm": "source"}
    config = {
        "run_name": "example",
        "method": {"name": "adaptseg", "_target_": "uda_seg.methods.adaptsegnet.AdaptSegNet"},
        "source": {
            "name": "gta5",
            "_target_": "uda_seg.data.datasets.gta5.GTA5",
            "train_split": "train",
        },
        "target": {
            "name": "cityscapes",
            "_target_": "uda_seg.data.datasets.cityscapes.Cityscapes",
            "train_split": "train",
            "size": [64, 128],
        },
        "backbone": node,
        "seed": 3,
        "trainer": {"steps": 40, "batch_size": 2},
        "initial": "/home/somebody/outputs/warm_up/seed3",
    }
    torch.manual_seed(0)
    network = build(node, classes=len(CLASSES))
    torch.nn.init.normal_(network.head.weight, std=20)
    torch.nn.init.zeros_(network.head.bias)
    folder = tmp_path / "run"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    state = {f"method.network.{key}": value for key, value in network.state_dict().items()}
    torch.save(
        {
            "state_dict": state,
            "hyper_parameters": {"config": config, "classes": CLASSES},
            "global_step": 40,
        },
        folder / "checkpoints" / "last.ckpt",
    )
    write_scores(folder, 40)
    return folder


def write_scores(folder: Path, step: int) -> None:
    selection = {"step": step, "confusion": np.diag([3, 1, 1, 1]).tolist()}
    selection["confusion"][0][1] = 1
    scores.save(
        folder / "scores.json",
        {
            "schema": 1, "run_name": "example", "method": {"name": "adaptseg"}, "source": "gta5",
            "target": "cityscapes", "split": "val", "backbone": "tiny", "seed": 3, "steps": step,
            "batch_norm": "source", "classes": CLASSES, "history": [],
            "selections": {"last": selection},
        },
    )  # fmt: skip


def settings(checkpoint: Path, output: Path, *more: str):
    sizes = "sizes=[[33,47],[64,40]]"
    return compose("export", [f"checkpoint={checkpoint}", f"output={output}", sizes, *more])


def lines_of(card: str) -> list[str]:
    return re.findall(r"```python\n(.*?)\n```", card, re.DOTALL)


def test_both_formats_answer_as_the_network_and_the_cards_lines_run(trained, tmp_path, monkeypatch):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    output = tmp_path / "exported"
    run(settings(trained, output), tmp_path)
    names = {"network.onnx", "network.pt2", "model_card.md"}
    assert {path.name for path in output.iterdir()} == names
    assert [p.name for p in tmp_path.iterdir() if "unfinished" in p.name] == []
    for path in output.iterdir():
        assert b"site-packages" not in path.read_bytes()
        assert b"/home/" not in path.read_bytes()

    street = ToyTown("toytown_camera", "val", {"val": 1}, (64, 128), seed=0).read(0, set()).image
    monkeypatch.chdir(output)
    Image.fromarray(street).save("street.png")
    card = Path("model_card.md").read_text()
    expected = ids_of(trained, street)
    assert len(np.unique(expected)) > 2
    programs = lines_of(card)
    assert ["onnxruntime" in programs[0], len(programs[0].splitlines())] == [True, 6]
    assert "torch.export" in programs[1]
    for program in programs:
        seen: dict = {}
        exec(program, seen)
        found = np.asarray(seen["ids"])
        assert found.shape == (64, 128)
        assert (found == expected).mean() > 0.999

    session = onnxruntime.InferenceSession("network.onnx")
    assert session.get_inputs()[0].shape == ["batch", 3, "height", "width"]
    assert session.get_outputs()[0].shape == ["batch", 4, "height", "width"]
    stored = session.get_modelmeta().custom_metadata_map
    assert json.loads(stored["classes"]) == CLASSES
    assert "adversary" not in card


def ids_of(trained: Path, street: np.ndarray) -> np.ndarray:
    config = yaml.safe_load((trained / "config.yaml").read_text())
    network = build(config["backbone"], classes=len(CLASSES)).eval()
    state = torch.load(trained / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    network.load_state_dict({key.removeprefix("method.network."): v for key, v in state.items()})
    image = torch.from_numpy(street).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        return network(image).logits.argmax(1)[0].numpy()


def test_classes_as_answer_and_what_the_card_says(trained, tmp_path, capsys):
    output = tmp_path / "exported"
    run(settings(trained, output, "formats=[torch_export]", "answer=classes"), tmp_path)
    network = torch.export.load(output / "network.pt2").module()
    answer = network(torch.rand(3, 3, 50, 37))
    assert (answer.dtype, tuple(answer.shape)) == (torch.uint8, (3, 50, 37))
    card = (output / "model_card.md").read_text()
    for words in (
        "On cityscapes, split val; selection `last` (last step), step 40: mIoU 81.2",
        "| 0 | road | 128, 64, 128 `#804080` | 75.0 |",
        "| source: gta5 | research and educational use",
        "| target: cityscapes | its own terms: not for commercial use",
        "none: it started at random; then another run's network (warm_up/seed3)",
        "| code of uda_seg | Apache-2.0 |",
        "`classes`, uint8 (B, H, W)",
        "2 images of 64x40: 100.000% of the pixels have the same class",
    ):
        assert words in card


def test_scores_of_another_step_or_none_are_not_shown(trained, tmp_path):
    write_scores(trained, 30)
    run(settings(trained, tmp_path / "a", "formats=[torch_export]"), tmp_path)
    card = (tmp_path / "a" / "model_card.md").read_text()
    assert "Not scored: its scores.json is of step 30, the checkpoint of step 40." in card
    assert "IoU |" not in card


def test_a_file_that_answers_otherwise_is_refused_and_nothing_is_left(
    trained, tmp_path, monkeypatch
):
    def shifted(image):
        street = network(torch.from_numpy(image), domain="target").logits.roll(1, 1)
        return street.numpy()

    network = torch.nn.Module()
    monkeypatch.setattr("uda_seg.export.formats.TorchExport.open", lambda self, path: shifted)
    config = yaml.safe_load((trained / "config.yaml").read_text())
    torch.manual_seed(0)
    network = build(config["backbone"], classes=len(CLASSES)).eval().requires_grad_(False)
    output = tmp_path / "exported"
    with pytest.raises(CheckError, match="torch_export does not answer as the network does"):
        run(settings(trained, output, "formats=[torch_export]"), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_what_a_format_cannot_hold_is_said(trained, tmp_path, monkeypatch):
    def broken(*arguments):
        raise RuntimeError("no such operator")

    monkeypatch.setattr("uda_seg.export.formats.TorchExport.write", broken)
    with pytest.raises(ConfigError, match="torch_export cannot hold this network.*no such op"):
        run(settings(trained, tmp_path / "new", "formats=[torch_export]"), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_ties_are_no_disagreement():
    logits = np.zeros((1, 2, 1, 4), np.float32)
    logits[0, 0] = [1, 1, 1, 0]
    logits[0, 1] = [0, 0, 0.9999, 1]
    other = logits.argmax(1)
    other[0, 0, 2] = 1
    found = agreement._agreement(logits, other, (1, 3, 1, 4), 0.001)
    assert (found.same, found.undecided) == (0.75, 0.25)
    assert found.within(0.001)
    other[0, 0, 0] = 1
    assert not agreement._agreement(logits, other, (1, 3, 1, 4), 0.001).within(0.001)


def test_mistakes_are_named_before_anything_is_loaded(trained, tmp_path, monkeypatch):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(DataError, match=r"full: is there already"):
        run(settings(trained, tmp_path / "full"), tmp_path)
    for sizes in ("[[8,64]]", "[64]", "[]"):
        with pytest.raises(ConfigError, match=r"sizes"):
            run(settings(trained, tmp_path / "new", f"sizes={sizes}"), tmp_path)
    with pytest.raises(ConfigError, match=r"formats=\[\]: must be a list that is not empty"):
        run(settings(trained, tmp_path / "new", "formats=[]"), tmp_path)
    with pytest.raises(ConfigError, match="did you mean onnx"):
        settings(trained, tmp_path / "new", "formats=[onx]")
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "onnxscript" else True
    )
    with pytest.raises(ConfigError, match=r"onnx needs onnxscript.*formats=\[torch_export\]"):
        run(settings(trained, tmp_path / "new"), tmp_path)
    assert not (tmp_path / "new").exists()


def test_terms_stand_on_the_class_that_reads_a_dataset():
    gta5 = {"name": "gta5", "_target_": "uda_seg.data.datasets.gta5.GTA5"}
    strange = {"name": "mine", "_target_": "uda_seg.nowhere.Mine"}
    both = {"datasets": {"gta5": gta5, "mine": strange}}
    assert terms.of_dataset(both) == {"gta5": GTA5.terms, "mine": terms.UNKNOWN}
    assert "educational use" in GTA5.terms
