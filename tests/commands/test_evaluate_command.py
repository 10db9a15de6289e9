"""Scoring a checkpoint again."""

import json
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from conftest import compose
from omegaconf import OmegaConf

from uda_seg.commands.evaluate import run
from uda_seg.config import build, conf_folder, shipped
from uda_seg.data.datasets.labels import LabelMapper, LabelSpace
from uda_seg.data.datasets.opening import open_scored
from uda_seg.data.datasets.writing import save_image
from uda_seg.data.feeding.data_module import evaluation_loader
from uda_seg.data.feeding.evaluation_set import EvaluationSet
from uda_seg.data.files.reading import read_ids
from uda_seg.errors import ConfigError, UserError, WeightsError
from uda_seg.evaluation import scores
from uda_seg.evaluation.measures import iou

CLASSES = ["road", "building", "sky", "car"]


def yaml_of(name: str) -> dict:
    return yaml.safe_load((conf_folder() / name).read_text())


@pytest.fixture
def trained(tmp_path: Path, camvid: Path) -> Path:
    """A run folder as training leaves it, with random weights and two selections."""
    torch.manual_seed(0)
    backbone = yaml_of("backbone/tiny.yaml") | {"depth_head": False}  # resolved, as a run has it
    target = shipped("target", "camvid") | {"root": str(camvid), "size": [24, 32]}
    config = {
        "run_name": "example",
        "method": {"name": "adaptseg", "facts": ["gan"], "gan": "ls", "_target_": "uda_seg.x.Y"},
        "source": {"name": "toytown"},
        "target": target,
        "backbone": backbone,
        "inference": yaml_of("inference.yaml"),
        "seed": 3,
    }
    folder = tmp_path / "run"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    network = build(backbone, classes=len(CLASSES))
    torch.nn.init.normal_(network.head.weight, std=20)  # or one class would win everywhere
    for name in ("last", "oracle_best"):
        torch.save(
            {
                "state_dict": {f"method.network.{k}": v for k, v in network.state_dict().items()}
                | {"method.adversary.discriminator.weight": torch.zeros(1)},
                "hyper_parameters": {"config": config, "classes": CLASSES},
                "global_step": 40,
            },
            folder / "checkpoints" / f"{name}.ckpt",
        )
    return folder


def settings(checkpoint: Path, **changes) -> OmegaConf:
    config = yaml_of("evaluate.yaml") | {"inference": yaml_of("inference_of_run.yaml")}
    del config["defaults"]
    config |= {"checkpoint": str(checkpoint), "device": "cpu", "workers": 0, "panels": 2}
    config |= {"data_root": ".", "target": None}
    return config | changes


def test_a_run_is_scored_as_it_scored_itself_unless_told_otherwise(trained, tmp_path):
    plain = run(own := settings(trained), tmp_path / "plain")
    config = yaml.safe_load((path := trained / "config.yaml").read_text())
    config["inference"] |= {"mode": "slide", "window": [8, 8], "stride": [8, 8], "flip": True}
    path.write_text(yaml.safe_dump(config))
    assert run(own, tmp_path / "own") != plain
    assert scores.load(tmp_path / "own")["inference"] == config["inference"]
    own["inference"] |= {"mode": "whole", "flip": False}
    assert run(own, tmp_path / "given") == plain


def test_scores_equal_a_plain_loop(trained, tmp_path):
    found = run(settings(trained), tmp_path / "scored")
    result = scores.load(tmp_path / "scored")
    last = scores.select(result, "last")
    assert found == last["miou"]
    assert (result["steps"], result["seed"], result["target"]) == (40, 3, "camvid")

    network = build(yaml_of("backbone/tiny.yaml") | {"depth_head": False}, classes=len(CLASSES))
    state = torch.load(trained / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    network.load_state_dict(
        {k[15:]: v for k, v in state.items() if k.startswith("method.network.")}
    )
    network.eval()
    target = yaml.safe_load((trained / "config.yaml").read_text())["target"]
    expected = np.zeros((4, 4), int)
    scored = EvaluationSet(open_scored(target, "val"), target["size"], LabelSpace(tuple(CLASSES)))
    for batch in evaluation_loader(scored, 1, 0):
        with torch.no_grad():
            logits = network(batch.image.float() / 255).logits
        assert logits.shape[-2:] == (24, 32)
        assert batch.label[0].shape == (48, 64)
        up = torch.nn.functional.interpolate(logits, (48, 64), mode="bilinear")
        known = batch.label[0] != 255
        pairs = zip(batch.label[0][known].tolist(), up[0].argmax(0)[known].tolist())
        for place in pairs:
            expected[place] += 1
    assert (last["confusion"] == expected).all()
    assert (expected.sum(0) > 0).sum() > 1
    labels = [open_scored(target, "val").read(i, {"label"}).label for i in range(len(scored))]
    assert sum(map(np.sum, last["others"].values())) + expected.sum() == np.sum(
        [label != 11 for label in labels]
    )
    assert set(last["others"]) == {*open_scored(target, "val").classes.values()} - set(CLASSES)
    np.testing.assert_allclose(list(last["iou"].values()), iou(expected))


def test_several_checkpoints_are_scored_together(trained, tmp_path):
    other = tmp_path / "other.ckpt"
    stored = torch.load(trained / "checkpoints" / "last.ckpt", weights_only=True)
    stored["state_dict"]["method.network.head.weight"] *= -1
    torch.save(stored, other)
    alone, second = run(settings(trained), tmp_path / "one"), run(settings(other), tmp_path / "two")
    assert alone != second
    both = {"also": [str(other)], "shares": [0, 2]}
    for mean in ("logits", "probabilities"):
        folder = tmp_path / mean
        run(settings(trained, **both, mean_of=mean), folder)
        result = scores.load(folder)
        assert (result["also"], result["mean_of"]) == ([str(other)], mean)
        ours, theirs = (
            scores.load(tmp_path / name)["selections"]["last"]["confusion"]
            for name in (mean, "two")
        )
        agreed = np.minimum(ours, theirs).sum() / theirs.sum()
        assert agreed == 1 if mean == "logits" else agreed > 0.9  # enlarged as probabilities
    with pytest.raises(ConfigError, match="must be 2 numbers"):
        run(settings(trained, also=[str(other)], shares=[1.0]), tmp_path / "wrong")
    stored["hyper_parameters"]["classes"] = CLASSES[::-1]
    torch.save(stored, other)
    with pytest.raises(ConfigError, match="only networks of the same classes"):
        run(settings(trained, also=[str(other)]), tmp_path / "wrong")


def test_pictures_lie_where_the_page_looks(trained, tmp_path):
    run(settings(trained), tmp_path / "scored")
    found = sorted((tmp_path / "scored" / "pictures").iterdir())
    assert [p.name for p in found] == [
        f"{n:03}_{kind}.png" for n in (0, 1) for kind in ("image", "label", "prediction")
    ]
    assert {cv2.imread(str(p)).shape for p in found} == {(24, 32, 3)}


def test_batches_and_overrides_of_the_target_change_nothing_but_what_they_say(trained, tmp_path):
    run(settings(trained), tmp_path / "one")
    run(settings(trained, batch_size=2), tmp_path / "two")
    run(settings(trained, target={"size": [48, 64]}, panels=0), tmp_path / "large")
    one, two, large = (
        scores.load(tmp_path / n)["selections"]["last"]["confusion"]
        for n in ("one", "two", "large")
    )
    assert (one == two).all()
    assert one.sum() == large.sum()
    assert not (one == large).all()
    assert not (tmp_path / "large" / "pictures").exists()


def test_an_oracles_choice_stays_marked(trained, tmp_path):
    run(settings(trained / "checkpoints" / "oracle_best.ckpt"), tmp_path / "scored")
    data = json.loads((tmp_path / "scored" / "scores.json").read_text())
    assert list(data["selections"]) == ["oracle_best"]


def test_what_does_not_fit_is_said(trained, tmp_path, caplog):
    checkpoint = trained / "checkpoints" / "last.ckpt"
    stored = torch.load(checkpoint, weights_only=True)
    stored["hyper_parameters"]["classes"] = ["road", "building", "sky", "train"]
    torch.save(stored, checkpoint)
    run(settings(trained), tmp_path / "scored")
    assert "camvid does not label train" in caplog.text
    stored["hyper_parameters"]["classes"] = ["wall", "train"]
    torch.save(stored, checkpoint)
    with pytest.raises(WeightsError, match="does not fit the run's backbone"):
        run(settings(trained), tmp_path / "scored")
    stored["hyper_parameters"]["classes"] = ["wall", "train", "rider", "bus"]
    torch.save(stored, checkpoint)
    with pytest.raises(ConfigError, match="labels none of this network's classes"):
        run(settings(trained), tmp_path / "scored")
    checkpoint.write_bytes(b"no checkpoint")
    with pytest.raises(UserError, match="is a text file, no checkpoint"):
        run(settings(trained), tmp_path / "scored")


def test_a_run_of_another_version_is_told_from_a_broken_one(trained, tmp_path, caplog):
    path = trained / "config.yaml"
    config = yaml.safe_load(path.read_text())
    config["backbone"]["dilated"] = True
    path.write_text(yaml.safe_dump(config))
    run(settings(trained), tmp_path / "once")
    assert "its run's backbone.dilated is not read" in caplog.text
    del config["backbone"]["depth_head"]
    path.write_text(yaml.safe_dump(config))
    with pytest.raises(WeightsError, match=r"not this version's .*depth_head.*train it again"):
        run(settings(trained), tmp_path / "scored")


def test_predictions_of_a_split_without_labels_are_handed_in(trained, tmp_path, caplog, capsys):
    """At the images' own size, in KITTI's ids; nothing is scored."""
    random = np.random.default_rng(0)
    for number in range(2):
        path = tmp_path / "kitti" / "testing" / "image_2" / f"00000{number}_10.png"
        save_image(path, random.integers(0, 256, (40, 60 + number, 3)).astype(np.uint8))
    target = shipped("target", "kitti") | {"root": str(tmp_path / "kitti"), "size": [24, 32]}
    changes = {"split": "testing", "save_predictions": "benchmark", "zip_predictions": True}
    run(settings(trained, target=target, **changes), tmp_path / "scored")
    assert "kitti has no labels at split testing" in caplog.text
    assert "mIoU" not in capsys.readouterr().out
    written = tmp_path / "scored" / "predictions"
    found = {path.name: read_ids(path) for path in written.iterdir()}
    assert {name: ids.shape for name, ids in found.items()} == {
        "000000_10.png": (40, 60),
        "000001_10.png": (40, 61),
    }
    ids = {int(i) for picture in found.values() for i in np.unique(picture)}
    assert ids <= {7, 11, 23, 26}
    assert len(ids) > 1
    assert zipfile.ZipFile(f"{written}.zip").namelist() == sorted(found)
    result = scores.load(tmp_path / "scored")["selections"]["last"]
    assert result["confusion"].sum() == 0


def test_predictions_agree_with_the_scores(trained, tmp_path):
    run(settings(trained, save_predictions="own_ids"), tmp_path / "scored")
    matrix = scores.load(tmp_path / "scored")["selections"]["last"]["confusion"]
    target = yaml.safe_load((trained / "config.yaml").read_text())["target"]
    dataset, space = open_scored(target, "val"), LabelSpace(tuple(CLASSES))
    encode, again = LabelMapper(space, dataset), np.zeros((4, 4), int)
    for index in range(len(dataset)):
        ids = read_ids(tmp_path / "scored" / "predictions" / dataset.prediction_name(index))
        label = encode(dataset.read(index, {"label"}).label, "")
        known = label != 255
        np.add.at(again, (label[known], encode(ids, "")[known]), 1)
    assert (again == matrix).all()
    assert not (tmp_path / "scored" / "predictions.zip").exists()


def test_an_id_for_a_class_is_chosen_on_the_command_line(trained):
    words = [f"checkpoint={trained}", "prediction_ids={traffic sign: 16}"]
    assert compose("evaluate", words)["prediction_ids"] == {"traffic sign": 16}


def test_boundaries_and_calibration_are_told_if_asked_for(trained, tmp_path, capsys):
    run(settings(trained), tmp_path / "plain")
    assert "boundary" not in capsys.readouterr().out
    run(settings(trained, boundary_iou=True, calibration=True), tmp_path / "more")
    shown = capsys.readouterr().out
    plain, more = (scores.load(tmp_path / n)["selections"]["last"] for n in ("plain", "more"))
    added = {"boundary_miou", "boundary_iou", "calibration_error"}
    assert more.keys() - plain.keys() == added
    assert all(np.array_equal(more[k], plain[k]) for k in ("confusion", "miou"))
    known = [value for value in more["boundary_iou"].values() if value is not None]
    assert more["boundary_miou"] == pytest.approx(np.mean(known))
    assert 0 < more["calibration_error"] <= 100
    for head, value in (
        ("boundary mIoU", "boundary_miou"),
        ("calibration err.", "calibration_error"),
    ):
        line = next(line for line in shown.splitlines() if head in line)
        assert f"{more[value]:.1f}" in line


def test_several_targets_are_scored_each_by_itself_and_together(trained, tmp_path, camvid, capsys):
    one = shipped("target", "camvid") | {"root": str(camvid)}
    two = shipped("target", "folder") | {
        "root": str(camvid), "images": "val", "labels": "valannot", "val_split": "all",
        "classes": {1: "building", 3: "road"}, "void": [0, 2, *range(4, 12)],
    }  # fmt: skip
    target = {
        "_target_": "x", "name": "camvid+folder", "datasets": {"camvid": one, "folder": two},
        "size": [24, 32], "train_split": "train", "val_split": "val", "shares": None,
    }  # fmt: skip
    run(settings(trained, target=target), tmp_path / "both")
    shown = capsys.readouterr().out
    whole = scores.load(tmp_path / "both")
    parts = [scores.load(tmp_path / "both" / name) for name in ("camvid", "folder")]
    counts = [part["selections"]["last"]["confusion"] for part in (whole, *parts)]
    assert np.array_equal(counts[0], counts[1] + counts[2])
    assert [part["target"] for part in parts] == ["camvid", "folder"]
    run(settings(trained, target=one | {"size": [24, 32]}), tmp_path / "alone")
    alone = scores.load(tmp_path / "alone")["selections"]["last"]
    assert np.array_equal(counts[1], alone["confusion"])
    assert any("camvid" in line and "folder" in line for line in shown.splitlines())
    assert "all together" in shown
    line = next(line for line in shown.splitlines() if line.startswith("│ mIoU  "))
    for part in (*parts, whole):
        assert f"{part['selections']['last']['miou']:.1f}" in line
