"""One matrix, exact, and the scores the field derives from it."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from uda_seg.evaluation.confusion import (
    ConfusionMatrix,
    accuracy,
    iou,
    mean_accuracy,
    miou,
    protocols,
)
from uda_seg.evaluation.measures import SUBSETS, caveat, fwiou

CITYSCAPES = SUBSETS["miou_19"]


def counted_by_loop(prediction: np.ndarray, label: np.ndarray, classes: int) -> np.ndarray:
    matrix = np.zeros((classes, classes), int)
    for said, true in zip(prediction.ravel(), label.ravel()):
        if true != 255:
            matrix[true, said] += 1
    return matrix


def iou_by_loop(prediction: np.ndarray, label: np.ndarray, classes: int) -> list[float]:
    """From sets of pixels, as the definition has it."""
    prediction = np.where(label == 255, 255, prediction)
    scores = []
    for one in range(classes):
        said, true = prediction == one, label == one
        union = (said | true).sum()
        scores.append(100 * (said & true).sum() / union if union else float("nan"))
    return scores


def random_pair(classes: int, seed: int, absent: int | None = None) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    label = torch.randint(classes, (3, 13, 17), generator=generator)
    logits = torch.randn(3, classes, 13, 17, generator=generator)
    logits.scatter_add_(1, label[:, None], torch.full((3, 1, 13, 17), 1.5))
    if absent is not None:
        label[label == absent] = 255
        logits[:, absent] = -100
    label[torch.rand(label.shape, generator=generator) < 0.1] = 255
    return logits, label


def test_deterministic_algorithms_count_the_same_and_compare_no_pixel_with_every_pair() -> None:
    logits, label = random_pair(5, seed=1)
    metrics = [ConfusionMatrix(5), ConfusionMatrix(5)]
    metrics[0].update(logits, label)
    torch.use_deterministic_algorithms(True)
    try:
        with torch.profiler.profile(profile_memory=True) as profile:
            metrics[1].update(logits, label)
    finally:
        torch.use_deterministic_algorithms(False)
    assert (metrics[0].counts() == metrics[1].counts()).all()
    assert metrics[0].counts().sum() == (label != 255).sum()
    largest = max(event.cpu_memory_usage for event in profile.key_averages())
    assert largest <= 8 * 5 * label.numel()  # a few numbers a pixel, not one a pair


@pytest.mark.parametrize("absent", [None, 2])
def test_matrix_and_iou_equal_a_loop(absent):
    logits, label = random_pair(5, seed=1, absent=absent)
    metric = ConfusionMatrix(5)
    for one, true in zip(logits, label):
        metric.update(one[None], true[None])
    prediction = logits.argmax(1).numpy()
    assert (metric.counts() == counted_by_loop(prediction, label.numpy(), 5)).all()
    expected = iou_by_loop(prediction, label.numpy(), 5)
    np.testing.assert_allclose(iou(metric.counts()), expected, rtol=1e-12)
    assert np.isnan(expected).sum() == (absent is not None)
    assert miou(metric.counts()) == pytest.approx(np.nanmean(expected))


@pytest.mark.parametrize("kind", [torch.uint8, torch.int32, torch.int64])
def test_classes_of_any_integer_type_count_alike(kind):
    # 200 classes: label * C + prediction does not fit into a byte.
    label = torch.arange(200).view(1, 10, 20)
    metric = ConfusionMatrix(200)
    metric.update(label.to(kind), label.to(kind))
    assert (metric.counts() == np.eye(200)).all()


@pytest.mark.parametrize("kind", [torch.uint8, torch.int32])
@pytest.mark.parametrize(("where", "number"), [(0, 5), (1, 5), (0, 254), (1, 255)])
def test_what_is_no_class_is_said(kind: torch.dtype, where: int, number: int) -> None:
    maps = torch.randint(5, (2, 1, 6, 7), generator=torch.Generator().manual_seed(0)).to(kind)
    label, prediction = maps
    label[0, 0, 0] = 255
    metric = ConfusionMatrix(5)
    metric.update(prediction, label)
    assert (metric.counts() == counted_by_loop(prediction.numpy(), label.numpy(), 5)).all()
    maps[where, 0, 0, 0] = number  # a prediction is wrong beside an ignored label too
    with pytest.raises(ValueError, match=rf"found labels .*, predictions .*{number}|{number}\]"):
        metric.update(prediction, label)


@pytest.mark.parametrize("absent", [None, 9])
def test_scores_equal_cityscapes_own_scripts(absent):
    scripts = pytest.importorskip("cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling")
    labels = pytest.importorskip("cityscapesscripts.helpers.labels")
    logits, label = random_pair(19, seed=2, absent=absent)
    metric = ConfusionMatrix(19)
    metric.update(logits, label)

    settings = SimpleNamespace()
    theirs = scripts.generateMatrix(settings)
    to_id = {i: labels.trainId2label[i].id for i in range(19)} | {255: 0}
    for said, true in zip(logits.argmax(1).ravel().tolist(), label.ravel().tolist()):
        theirs[to_id[true], to_id[said]] += 1
    scores = [scripts.getIouScoreForLabel(to_id[i], theirs, settings) for i in range(19)]
    np.testing.assert_allclose(iou(metric.counts()), 100 * np.array(scores), rtol=1e-12)
    assert [labels.trainId2label[i].name for i in range(19)] == list(CITYSCAPES)
    average = scripts.getScoreAverage(dict(enumerate(scores)), settings)
    ours = protocols(metric.counts(), CITYSCAPES)
    assert ours["miou_19"] == miou(metric.counts()) == pytest.approx(100 * average)
    categories = {
        name: scripts.getIouScoreForCategory(name, theirs, settings)
        for name in labels.category2labels
        if name != "void"
    }
    average = scripts.getScoreAverage(categories, settings)
    assert ours["miou_7"] == pytest.approx(100 * average)


def test_a_class_predicted_but_never_labelled_is_zero_and_counts():
    matrix = np.array([[8, 0, 2], [0, 0, 0], [0, 0, 0]])
    np.testing.assert_array_equal(iou(matrix), [80, np.nan, 0])
    assert miou(matrix) == 40
    assert accuracy(matrix) == 80
    assert fwiou(matrix) == 80
    assert mean_accuracy(matrix) == 80


def test_frequency_weighted_iou_weighs_classes_by_their_labelled_pixels():
    matrix = np.array([[6, 2], [1, 1]])  # IoU 6/9 on 8 of 10 pixels, 1/4 on 2
    assert fwiou(matrix) == pytest.approx(100 * (0.8 * 6 / 9 + 0.2 / 4))


def test_empty_matrix_has_no_scores():
    empty = np.zeros((3, 3), int)
    assert np.isnan([miou(empty), fwiou(empty), accuracy(empty), mean_accuracy(empty)]).all()


def scored(prediction: dict[tuple[str, str], int], classes: list[str]) -> dict[str, float]:
    """Protocols of pixels of (label, prediction), as a run with these classes keeps them."""
    names = [*classes, *(name for name in CITYSCAPES if name not in classes)]
    metric = ConfusionMatrix(len(classes), len(names) - len(classes))
    for (label, answer), count in prediction.items():
        labels = torch.full((1, 1, count), names.index(label))
        metric.update(torch.full((1, 1, count), names.index(answer)), labels)
    others = dict(zip(names[len(classes) :], metric.other_counts()))
    return protocols(metric.counts(), classes, MANY, others)


MANY = ["miou_16", "miou_16_of_19", "miou_13", "miou_13_of_19", "miou_11", "miou_10", "miou_7"]


def test_one_prediction_has_one_number_under_one_name_whatever_the_network_knows():
    pixels = {("vegetation", "vegetation"): 800, ("terrain", "vegetation"): 200}
    pixels |= {("car", "car"): 900, ("truck", "car"): 100, ("wall", "building"): 50}
    pixels |= {("building", "building"): 50}
    nineteen = scored(pixels, list(CITYSCAPES))
    sixteen = scored(pixels, list(SUBSETS["miou_16"]))
    thirteen = scored(pixels, list(SUBSETS["miou_13"]))
    # Labels of others ignored; and of all 19, as evaluators of 19 classes count them.
    assert nineteen["miou_16"] == pytest.approx((100 + 100 + 50 + 0) / 4)
    assert nineteen["miou_16_of_19"] == pytest.approx((80 + 90 + 50 + 0) / 4)
    # Thirteen of the sixteen: a wall called building is building's mistake.
    assert nineteen["miou_13"] == pytest.approx((100 + 100 + 50) / 3)
    assert nineteen["miou_13_of_19"] == pytest.approx((80 + 90 + 50) / 3)
    assert nineteen["miou_7"] == 100
    for fewer in (sixteen, thirteen):
        assert fewer == {name: nineteen[name] for name in fewer}
    assert set(sixteen) == {*MANY} - {"miou_10"}
    assert set(thirteen) == {"miou_13", "miou_13_of_19", "miou_7"}
    alone = {("vegetation", "vegetation"): 800, ("terrain", "vegetation"): 200}
    alone |= {("car", "car"): 900, ("truck", "car"): 100}
    for classes in (list(CITYSCAPES), list(SUBSETS["miou_16"])):
        found = scored(alone, classes)
        assert (found["miou_16"], found["miou_16_of_19"]) == (100, pytest.approx(85))


def test_what_older_files_did_not_keep_is_not_guessed():
    matrix = np.eye(16, dtype=int)
    sixteen = SUBSETS["miou_16"]
    assert set(protocols(matrix, sixteen, MANY)) == {"miou_16", "miou_13", "miou_11"}
    assert set(protocols(np.eye(19, dtype=int), CITYSCAPES, [*MANY, "miou_idd_7"])) == {*MANY}
    eleven = ["sky", "building", "pole", "road", "sidewalk", "bicyclist"]
    assert protocols(np.eye(6, dtype=int), eleven) == {}


def test_protocols_are_means_over_subsets_of_the_same_matrix():
    matrix = np.random.default_rng(0).integers(0, 50, (19, 19))
    each = dict(zip(CITYSCAPES, iou(matrix)))
    found = protocols(matrix, CITYSCAPES)
    assert list(found) == [
        "miou_19", "miou_16", "miou_16_of_19", "miou_13", "miou_13_of_19", "miou_7",
    ]  # fmt: skip
    for name in ("terrain", "truck", "train"):
        del each[name]
    assert found["miou_16_of_19"] == pytest.approx(np.mean(list(each.values())))
    for name in ("wall", "fence", "pole"):
        del each[name]
    assert found["miou_13_of_19"] == pytest.approx(np.mean(list(each.values())))
    counted = matrix.copy()
    counted[[CITYSCAPES.index(name) for name in ("terrain", "truck", "train")]] = 0
    each = dict(zip(CITYSCAPES, iou(counted)))
    assert found["miou_16"] == pytest.approx(np.mean([each[n] for n in SUBSETS["miou_16"]]))
    assert found["miou_13"] == pytest.approx(np.mean([each[n] for n in SUBSETS["miou_13"]]))


def test_a_mean_over_fewer_classes_says_so():
    assert caveat(np.diag([3, 4]), ["background", "road"]) is None
    assert caveat(np.zeros((2, 2), int), ["background", "road"]) is None
    assert caveat(np.diag([3, 0]), ["background", "road"]) == (
        "mean of 1 of 2 classes; no label holds road"
    )
    matrix = np.array([[3, 1, 0], [0, 0, 0], [0, 0, 0]])
    assert caveat(matrix, ["road", "car", "sky"]) == (
        "mean of 2 of 3 classes; no label holds sky; "
        "no label holds car: predicted somewhere, so counts as 0 in the mean"
    )


def test_camvids_protocol_merges_rider_and_bicycle_first():
    """A rider taken for a bicycle is right there, and a label that CamVid has not is ignored."""
    classes = ["rider", "bicycle", "car", "truck", *set(SUBSETS["miou_11"]) - {"bicyclist", "car"}]
    matrix = np.diag(np.full(len(classes), 10))
    matrix[0, 1] = 30  # riders predicted as bicycles
    matrix[2, 3] = 10  # cars predicted as trucks
    matrix[3, 2] = 10  # trucks predicted as cars
    found = protocols(matrix, classes, ["miou_11"])
    assert found == {"miou_11": pytest.approx((10 * 100 + 50) / 11)}


def test_levels_of_idd_merge_all_finer_classes():
    matrix = np.random.default_rng(0).integers(0, 50, (19, 19))
    groups = [[CITYSCAPES.index(n) for n in names if n in CITYSCAPES] for names in (
        ["road"], ["sidewalk", "terrain"], ["person", "rider"],
        ["car", "truck", "bus", "train", "motorcycle", "bicycle"],
        ["wall", "fence", "pole", "traffic light", "traffic sign"],
        ["building", "vegetation"], ["sky"],
    )]  # fmt: skip
    merged = np.zeros((7, 7), int)
    for i, rows in enumerate(groups):
        for j, columns in enumerate(groups):
            merged[i, j] = sum(int(matrix[r, c]) for r in rows for c in columns)
    assert protocols(matrix, CITYSCAPES, ["miou_idd_7"], {}) == {
        "miou_idd_7": pytest.approx(miou(merged))
    }
    seven = ["drivable", "non-drivable", "living things", "vehicles", "roadside objects"]
    seven += ["far objects", "sky"]
    small = matrix[:7, :7]
    assert protocols(small, seven, ["miou_idd_7"]) == {"miou_idd_7": pytest.approx(miou(small))}


def test_ten_classes_of_kitti_are_a_subset():
    matrix = np.random.default_rng(1).integers(0, 50, (19, 19))
    others = [place for place, name in enumerate(CITYSCAPES) if name not in SUBSETS["miou_10"]]
    ignored = matrix.copy()
    ignored[others] = 0
    each = dict(zip(CITYSCAPES, iou(ignored)))
    ten = [each[name] for name in SUBSETS["miou_10"]]
    found = protocols(matrix, CITYSCAPES, ["miou_19", "miou_10"])
    assert found["miou_10"] == pytest.approx(np.mean(ten))
    assert len(ten) == 10


def test_wrong_classes_and_sizes_are_refused():
    metric = ConfusionMatrix(3)
    label = torch.zeros(1, 2, 2, dtype=torch.long)
    with pytest.raises(ValueError, match="differ in size"):
        metric.update(torch.zeros(1, 2, 3, dtype=torch.long), label)
    with pytest.raises(ValueError, match=r"found labels \[0\], predictions \[3\]"):
        metric.update(label + 3, label)
    with pytest.raises(ValueError, match=r"found labels \[7\]"):
        metric.update(label, label + 7)
    with pytest.raises(ValueError, match=r"found labels \[-1\]"):
        metric.update(label, label - 1)
    with pytest.raises(ValueError, match=r"found labels \[3\]"):
        metric.update(label.byte(), label.byte() + 3)
    with pytest.raises(ValueError, match=r"predictions \[255\]"):
        metric.update(label.byte() + 255, label.byte())
    assert not metric.counts().any()
    metric.update(label.byte(), label.byte() + 255)
    assert not metric.counts().any()
    with pytest.raises(ValueError, match="no confusion matrix"):
        iou(np.eye(3))
