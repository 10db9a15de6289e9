"""scores.json: written whole, read back checked, derived values from the matrix alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import uda_seg
from uda_seg.errors import DataError, UserError
from uda_seg.evaluation import scores


def example(**changes):
    return {
        "schema": 1,
        "run_name": "run",
        "method": {"name": "adaptseg"},
        "source": "toytown",
        "target": "toytown_camera",
        "backbone": "tiny",
        "seed": 0,
        "steps": 20,
        "batch_norm": "train",
        "classes": ["road", "car", "bus"],
        "selections": {
            "last": {"step": 20, "confusion": [[8, 2, 0], [0, 5, 0], [0, 0, 0]]},
            "label_free": {"step": 10, "confusion": [[10, 0, 0], [5, 0, 0], [0, 0, 0]]},
        },
        "history": [{"step": 10, "miou": float("nan"), "loss": {"segmentation": 1.5}}],
        "finished": True,
    } | changes


def test_round_trip_derives_from_the_matrix(tmp_path):
    path = tmp_path / "run" / "scores.json"
    scores.save(path, example())
    for place in (path, path.parent):
        found = scores.load(place)
        last = scores.select(found, "last")
        assert last["iou"]["road"] == pytest.approx(80)
        assert last["iou"]["car"] == pytest.approx(100 * 5 / 7)
        assert np.isnan(last["iou"]["bus"])
        assert last["miou"] == pytest.approx((80 + 500 / 7) / 2)
        assert last["accuracy"] == pytest.approx(100 * 13 / 15)
        assert last["confusion"].dtype == np.int64
        assert last["confusion"][0].tolist() == [8, 2, 0]
        assert found["folder"] == path.parent
        assert found["history"][0]["miou"] is None
    assert [file.name for file in path.parent.iterdir()] == ["scores.json"]


def test_file_shows_percent_to_human_readers_and_is_strict_json(tmp_path):
    scores.save(tmp_path / "scores.json", example())
    text = (tmp_path / "scores.json").read_text()
    last = json.loads(text)["selections"]["last"]
    assert last["iou"] == {"road": 80.0, "car": 71.43, "bus": None}
    assert last["miou"] == 75.71
    assert "NaN" not in text


def test_a_part_of_a_split_is_told_with_every_mean(tmp_path):
    part = {"split": "val", "scored_images": 8, "split_images": 100}
    scores.save(tmp_path / "part" / "scores.json", example(**part))
    scores.save(tmp_path / "whole" / "scores.json", example(split="val"))
    found, whole = scores.load(tmp_path / "part"), scores.load(tmp_path / "whole")
    assert scores.split_scored(found) == "val, 8 of 100 images"
    assert scores.split_scored(whole) == "val"
    for name, selection in found["selections"].items():
        of_classes = whole["selections"][name]["caveat"]
        assert selection["caveat"] == f"scored on 8 of 100 images; {of_classes}"
        assert "images" not in of_classes


def test_stale_derived_values_are_not_believed(tmp_path):
    scores.save(tmp_path / "scores.json", example())
    data = json.loads((tmp_path / "scores.json").read_text())
    data["selections"]["last"]["miou"] = 99
    (tmp_path / "scores.json").write_text(json.dumps(data))
    assert scores.load(tmp_path)["selections"]["last"]["miou"] < 80


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"schema": 2}, "has schema 2, this version reads 1"),
        ({"seed": "0"}, "seed must be a int"),
        ({"finished": True, "steps": True}, "steps must be"),
        ({"classes": []}, "not be empty"),
        ({"classes": ["road", "car"]}, "3x3 matrix at step 20, but there are 2 classes"),
        ({"method": {}}, "method.name is missing"),
        ({"selections": {"last": {"step": 1}}}, "selections.last needs a step and a confusion"),
        ({"selections": {"last": {"step": 1, "confusion": [[0.5]]}}}, "whole numbers"),
        ({"selections": {"last": {"step": 1, "confusion": [[1, 2], [3]]}}}, "whole numbers"),
        ({"history": [{"step": 1}, {"miou": 3}]}, "history"),
    ],
)
def test_wrong_files_are_named(tmp_path, change, complaint):
    path = tmp_path / "scores.json"
    path.write_text(json.dumps(example(**change)))
    with pytest.raises(UserError, match=complaint) as raised:
        scores.load(path)
    assert str(path) in str(raised.value)


def test_missing_key_absent_file_and_broken_file(tmp_path):
    path = tmp_path / "scores.json"
    with pytest.raises(DataError, match="is not there"):
        scores.load(path)
    path.write_text("{")
    with pytest.raises(DataError, match="cannot be read as JSON"):
        scores.load(path)
    path.write_text("[]")
    with pytest.raises(DataError, match="no schema"):
        scores.load(path)
    incomplete = example()
    del incomplete["target"]
    with pytest.raises(DataError, match="target is missing"):
        scores.save(path, incomplete)


def test_unknown_selection_names_the_choices(tmp_path):
    scores.save(tmp_path / "scores.json", example())
    with pytest.raises(DataError, match="there are last, label_free"):
        scores.select(scores.load(tmp_path), "oracle_best")


def test_needs_no_torch():
    code = "import sys, uda_seg.evaluation.scores; assert 'torch' not in sys.modules"
    where = os.environ | {"PYTHONPATH": str(Path(uda_seg.__file__).parents[1])}
    subprocess.run([sys.executable, "-c", code], check=True, env=where)
