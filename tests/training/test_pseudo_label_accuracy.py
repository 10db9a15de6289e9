"""The diagnosis of pseudo-labels: what it counts, that it changes nothing, and how it goes on."""

import csv
import json
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from report.report_examples import PSEUDO_LABELS
from torch import nn
from training.test_runs import SMALL, KilledAt, KilledError, in_two_processes, run, same

from uda_seg.batch import IGNORE, Target
from uda_seg.components.pseudo_labels import PseudoLabels
from uda_seg.data.datasets.base import FileDataset
from uda_seg.errors import ConfigError
from uda_seg.methods.source_only import SourceOnly
from uda_seg.networks.modes import as_in_training
from uda_seg.training.metrics_file import MetricsFile
from uda_seg.training.pseudo_label_accuracy import ALL, PseudoLabelAccuracy, table
from uda_seg.training.scoreboard import Scoreboard

BARE = [word for word in SMALL if "discriminator" not in word] + ["method=adaptive_bn"]
STEPS = ["trainer.steps=6", "trainer.validate_every=2", "trainer.checkpoint_every=3"]


def words(camvid: Path, *more: str) -> list[str]:
    return [*BARE, f"source.root={camvid}", f"target.root={camvid}", *STEPS, *more]


def makes(self: SourceOnly, target: Target) -> PseudoLabels:
    """Stands for a teacher: batch statistics, which move, and random numbers; the left half is
    sure.
    """
    assert self.training
    assert not torch.is_grad_enabled()
    logits = self.network(target.image, "target").logits
    logits = logits + torch.rand_like(logits)
    confident = torch.zeros_like(logits[:, 0], dtype=torch.bool)
    confident[..., : logits.shape[-1] // 2] = True
    return PseudoLabels(logits.argmax(1), torch.full_like(logits[:, 0], 0.25), confident)


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "pseudo_labels.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_counts_become_shares_and_what_cannot_be_known_is_empty() -> None:
    sure = np.array([[6, 2, 0, 2], [1, 0, 0, 3], [0, 0, 0, 0], [0, 0, 0, 0]])
    student = np.array([[10, 0, 0, 0], [2, 2, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    road, car, sky, every = table([sure, sure, student], 0.25, ["road", "car", "sky"])
    assert road == {
        "class": "road", "pixels": 10, "labelled": 7, "right": 6, "precision": 85.71,
        "recall": 60.0, "pseudo_iou": 54.55, "student_iou": 83.33, "weight": 0.25,
    }  # fmt: skip
    assert (car["labelled"], car["precision"], car["recall"], car["pseudo_iou"]) == (2, 0, 0, 0)
    assert [sky[name] for name in ("precision", "recall", "student_iou")] == [None] * 3
    assert (every["class"], every["pixels"], every["labelled"]) == (ALL, 14, 9)
    assert (every["precision"], every["recall"]) == (66.67, 42.86)
    assert every["student_iou"] == pytest.approx((83.333 + 50) / 2, abs=0.01)


class AllRoad(nn.Module):
    """Takes two images for road, and is sure of their upper half."""

    def pseudo_label(self, target: Target) -> PseudoLabels:
        label = torch.zeros(2, 4, 4, dtype=torch.long)
        confident = torch.zeros(2, 4, 4, dtype=torch.bool)
        confident[:, :2] = True
        return PseudoLabels(label, torch.full((2, 4, 4), 0.5), confident)


class Right(nn.Module):
    """Knows that white is road and black a car."""

    classes, device = ["road", "car"], torch.device("cpu")

    def __init__(self) -> None:
        super().__init__()
        self.method = AllRoad()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.stack([image[:, 0], 1 - image[:, 0]], 1)


def test_what_is_seen_goes_into_the_file_and_to_loggers_that_draw(tmp_path: Path) -> None:
    label = torch.tensor([0, 0, 1, IGNORE]).expand(2, 4, 4)  # by column
    image = (label == 0).float()[:, None].expand(2, 3, 4, 4)
    sent: list[tuple[int, dict[str, float]]] = []
    drawing = SimpleNamespace(log_metrics=lambda values, step: sent.append((step, values)))
    trainer: Any = SimpleNamespace(
        global_step=7,
        is_global_zero=True,
        loggers=[drawing, MetricsFile(tmp_path)],
        datamodule=SimpleNamespace(labelled_batches=lambda size: [(Target(image), label)] * size),
        precision_plugin=SimpleNamespace(val_step_context=nullcontext),
    )
    callback = PseudoLabelAccuracy(tmp_path, 4, batch_size=2)
    for _ in range(2):  # once a step
        callback.on_validation_epoch_end(trainer, Right())
    road, car, every = rows_of(tmp_path)
    expected = {"step": "7", "pixels": "32", "labelled": "24", "right": "16", "weight": "0.5"}
    assert {name: road[name] for name in expected} == expected
    assert (road["precision"], road["recall"]) == ("66.67", "50.0")
    assert (road["pseudo_iou"], road["student_iou"]) == ("66.67", "100.0")
    assert [car[name] for name in ("pixels", "labelled", "precision")] == ["16", "0", ""]
    assert (every["pixels"], every["recall"], every["pseudo_iou"]) == ("48", "33.33", "33.33")
    ((step, values),) = sent
    assert step == 7
    assert values["pseudo_labels/precision/road"] == 66.67
    assert values["pseudo_labels/student_iou/all"] == 100
    assert values["pseudo_labels/weight"] == 0.5
    assert "pseudo_labels/precision/car" not in values
    assert not (tmp_path / "metrics.csv").exists()


def test_a_look_leaves_modes_buffers_and_random_numbers_as_they_were(network: Any) -> None:
    network.eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    numbers = torch.random.get_rng_state()
    with as_in_training(network):
        network(torch.rand(2, 3, 32, 64), "target")
        moved = network.state_dict()
        assert any(not torch.equal(before[name], moved[name]) for name in before)
    same(before, network.state_dict())
    assert torch.equal(numbers, torch.random.get_rng_state())
    assert not any(part.training for part in network.modules())


def twice(folder: Path, arguments: list[str]) -> list[dict[str, Any]]:
    """The scores of a run and of the same run that looks, which were the same bit for bit."""
    plain = run(folder / "plain", arguments)
    looking = run(folder / "looking", [*arguments, "trainer.pseudo_labels=3"])
    for part in ("state_dict", "optimizer_states", "lr_schedulers"):
        same(plain[part], looking[part], part)
    assert not (folder / "plain" / "pseudo_labels.csv").exists()
    names = ("plain", "looking")
    scores = [json.loads((folder / name / "scores.json").read_text()) for name in names]
    for key in scores[0].keys() - {"training_seconds", "images_per_second", "config_hash"}:
        same(scores[0][key], scores[1][key], key)
    return scores


def test_looking_changes_no_bit_of_a_run(
    camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights, statistics, optimizers, samples, scores; and what is in the file adds up."""
    monkeypatch.setattr(SourceOnly, "pseudo_label", makes)
    plain, looking = twice(tmp_path, words(camvid))
    assert looking["labels_opened"].startswith("of 3 target training images")
    assert looking.keys() - plain.keys() == {"labels_opened"}
    rows, classes = rows_of(tmp_path / "looking"), plain["classes"]
    assert list(rows[0]) == PSEUDO_LABELS.split()  # as the report's tests have it
    assert [row["step"] for row in rows] == [s for s in "246" for _ in range(len(classes) + 1)]
    assert [row["class"] for row in rows[: len(classes) + 1]] == [*classes, ALL]
    labelled = {int(row["labelled"]) for row in rows if row["class"] == ALL}
    pixels = {int(row["pixels"]) for row in rows if row["class"] == ALL}
    assert len(pixels) == 1  # the same crops every time
    assert max(labelled) < 0.7 * pixels.pop()  # the left half
    assert {row["weight"] for row in rows} == {"0.25"}
    for row in rows:
        assert int(row["right"]) <= min(int(row["labelled"]), int(row["pixels"]))


def test_nor_does_it_with_a_teacher_whose_batch_statistics_move(
    camvid: Path, tmp_path: Path
) -> None:
    others = [word for word in words(camvid) if not word.startswith("method=")]
    twice(tmp_path, [*others, "method=dacs", "method.threshold=0"])
    rows = rows_of(tmp_path / "looking")
    assert {row["weight"] for row in rows} == {"1.0"}
    assert {row["step"] for row in rows} == set("246")


def test_a_killed_run_has_every_row_once(
    camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SourceOnly, "pseudo_label", makes)
    looking = words(camvid, "trainer.pseudo_labels=2")
    run(tmp_path / "straight", looking)
    folder = tmp_path / "killed"
    with pytest.raises(KilledError), KilledAt(5):
        run(folder, looking)
    assert rows_of(folder)[-1]["step"] == "4"  # further than the checkpoint, which is of step 3
    run(folder, [*looking, f"resume={folder}"])
    assert rows_of(folder) == rows_of(tmp_path / "straight")


def test_another_run_in_the_folder_does_not_keep_an_earlier_ones_rows(
    camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "pseudo_labels.csv").write_text("step,class\n")
    run(tmp_path / "run", words(camvid, "trainer.pseudo_labels=2"))  # makes no pseudo-labels
    assert not (tmp_path / "run" / "pseudo_labels.csv").exists()


def test_the_method_never_sees_the_labels(
    camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are opened when a run is scored, and reach no batch that is trained on."""
    target = tmp_path / "target"
    target.mkdir()
    for folder in ("train", "val", "trainannot", "valannot"):
        (target / folder).symlink_to(camvid / folder)
    seen: list[Target] = []
    opened: list[str] = []
    read_label = FileDataset.read_label

    def look(self: SourceOnly, target: Target) -> PseudoLabels:
        seen.append(target)
        return makes(self, target)

    def read(dataset: FileDataset, path: Path) -> np.ndarray:
        opened.append(str(path))
        return read_label(dataset, path)

    monkeypatch.setattr(SourceOnly, "pseudo_label", look)
    monkeypatch.setattr(FileDataset, "read_label", read)
    more = [f"target.root={target}", "trainer.pseudo_labels=2", "trainer.steps=2"]
    run(tmp_path / "run", [*words(camvid), *more])
    assert any("target/trainannot" in path for path in opened)
    (one,) = seen
    given = {name for name, value in vars(one).items() if value is not None}
    assert given == {"image", "window"}
    assert one.image.shape == (2, 3, 32, 64)
    assert one.image.max() <= 1


def test_without_labels_there_is_nothing_to_compare_with(camvid: Path, tmp_path: Path) -> None:
    others = [word for word in words(camvid) if not word.startswith("target")]
    pictures = [*others, "target=images", f"target.root={camvid / 'train'}"]
    expected = r"trainer.pseudo_labels=2: target=images has no labels at split all .* or trainer"
    with pytest.raises(ConfigError, match=expected):
        run(tmp_path / "run", [*pictures, "trainer.pseudo_labels=2"])


@pytest.mark.slow
def test_two_processes_look_at_what_one_looks_at(camvid: Path, tmp_path: Path) -> None:
    """Batch norm is frozen: its statistics depend on how a batch is cut."""
    others = [word for word in words(camvid) if not word.startswith("method=")]
    common = [*others, "method=dacs", "method.threshold=0.2", "backbone.batch_norm=frozen"]
    common += ["trainer.pseudo_labels=3", "trainer.steps=2"]
    run(tmp_path / "one", [*common, "trainer.batch_size=4"])
    folder = tmp_path / "two"
    in_two_processes(folder, [*common, "trainer.devices=2"])
    ours, theirs = rows_of(tmp_path / "one"), rows_of(folder)
    assert len(ours) == len(theirs) > 1
    for one, two in zip(ours, theirs, strict=True):
        assert one["class"] == two["class"]
        assert one["pixels"] == two["pixels"]
        assert abs(int(one["labelled"]) - int(two["labelled"])) <= 0.01 * int(ours[-1]["pixels"])
        assert float(one["weight"]) == pytest.approx(float(two["weight"]), abs=0.005)


def test_labels_once_opened_stay_opened_in_a_run_that_goes_on_without(tmp_path: Path) -> None:
    looked = Scoreboard(tmp_path, {"labels_opened": "of 3 images", "batch_size": 1})
    goes_on = Scoreboard(tmp_path, {"batch_size": 1})
    goes_on.load_state_dict(looked.state_dict())
    assert goes_on.facts == looked.facts
    assert looked.state_dict() == goes_on.state_dict()
