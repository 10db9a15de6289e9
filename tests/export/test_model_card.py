"""The card: what the hub reads of it, and names that would break its tables."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import ModelCard

from uda_seg.evaluation import scores
from uda_seg.export.model_card import Card, Written

CLASSES = ["road", "building", "sky", "car"]
HOSTILE = "x | y <script>alert(1)</script> {{ 7 * 7 }}\n# --- `"


def scores_at(folder: Path, **more):
    counts = np.diag([3, 1, 1, 0])
    counts[0, 1] = 1
    last = {"step": 40, "confusion": counts.tolist()}
    facts = {
        "schema": 1, "run_name": "example", "method": {"name": "pit"}, "source": "toytown",
        "target": "cityscapes", "split": "val", "backbone": "tiny", "seed": 3, "steps": 40,
        "batch_norm": "source", "classes": CLASSES, "history": [],
    }  # fmt: skip
    scores.save(folder / "scores.json", {**facts, **more, "selections": {"last": last}})
    return scores.load(folder)


@pytest.fixture
def card(tmp_path: Path) -> Card:
    run = {
        "run_name": "example",
        "method": {"name": "pit"},
        "source": {"name": "toytown", "_target_": "uda_seg.data.toytown.dataset.ToyTown"},
        "target": {"name": "cityscapes", "_target_": "uda_seg.data.datasets.cityscapes.Cityscapes"},
        "backbone": {"name": "tiny", "batch_norm": "source"},
        "seed": 3,
    }
    file = Written("network.pt2", "torch_export", "torch.export", 2_000_000, "ab12", ["fine"])
    return Card(
        run, CLASSES, "last.ckpt", 40, 1234, "source", scores_at(tmp_path), "last", "", "logits",
        [file], 0.001, {"uda_seg": "0.1", "onnx": None}, 32,
    )  # fmt: skip


def test_the_hub_reads_what_it_is_how_good_and_under_which_terms(card, tmp_path):
    (tmp_path / "README.md").write_text(card.text(), encoding="utf-8")
    read = ModelCard.load(tmp_path / "README.md").data
    assert (read.license, read.pipeline_tag) == ("other", "image-segmentation")
    assert {"domain-adaptation", "uda_seg", "pit"} <= set(read.tags)
    (result,) = [one for one in read.eval_results if one.metric_name == "mIoU, percent"]
    assert (result.metric_type, result.metric_value) == ("mean_iou", 75.0)
    assert (result.dataset_name, result.dataset_split) == ("cityscapes", "val")
    assert (result.metric_config, read.model_name) == ("last", "example")


def test_scores_of_a_part_of_the_split_say_so(card, tmp_path):
    few = replace(card, scores=scores_at(tmp_path / "few", scored_images=8, split_images=500))
    assert "The mIoU: scored on 8 of 500 images" in few.text()
    assert {one.dataset_split for one in few.metadata().eval_results} == {"val, 8 of 500 images"}


def test_a_card_without_scores_claims_none(card):
    text = replace(card, scores=None, selection=None, why_unscored="nobody did").text()
    assert "Not scored: nobody did" in text
    assert "model-index" not in text
    assert ModelCard(text).data.eval_results is None


def test_losses_of_both_methods_are_told_where_one_is_built_on_the_other(card):
    base = {"name": "pit", "weights": {"pooling_target": 0.1, "expansion": None}}
    card.run["method"] = {"name": "mic_pit", "facts": [], "weights": {"masked": 1.0}, "base": base}
    text = card.text()
    assert "pooling_target 0.1" in text
    assert "masked 1" in text
    assert "base.name pit" in text


def test_names_break_neither_tables_nor_metadata(card):
    card.run["source"]["name"] = card.run["method"]["name"] = card.run["run_name"] = HOSTILE
    text = card.text()
    read = ModelCard(text)
    assert (HOSTILE in read.data.tags, read.data.model_name) == (True, HOSTILE)
    assert "<script" not in read.text
    assert "{{ 7 * 7 }}" in read.text
    rows = [line for line in read.text.splitlines() if line.startswith("| source")]
    assert len(rows) == 2  # how it was made, licences
    assert all(row.count("|") == 3 for row in rows)
    assert len([line for line in read.text.splitlines() if line.startswith("# ")]) == 1
