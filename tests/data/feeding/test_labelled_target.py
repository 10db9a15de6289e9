"""Target training images whose labels are opened for a diagnosis."""

from pathlib import Path

import pytest
import torch
from conftest import write_camvid

from uda_seg.data.datasets.bad_images import BadImages
from uda_seg.data.datasets.camvid import CamVid
from uda_seg.data.datasets.labels import LabelMapper, common
from uda_seg.data.feeding.labelled_target import labelled_batches, with_labels
from uda_seg.data.feeding.streams import TrainingStream
from uda_seg.data.feeding.transforms import Transform
from uda_seg.errors import DataError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_camvid(tmp_path, count=5)


CROPS = Transform(size=None, scale=None, crop=[16, 16], flip=True, color=0.0)


def stream(
    root: Path, seed: int = 0, skip: bool = False, transform: Transform = CROPS
) -> TrainingStream:
    dataset = CamVid(str(root), "train")
    names = list(dataset.classes.values())
    bad = BadImages(skip, root)
    encode = LabelMapper(common(names, names), dataset)
    plain = TrainingStream(dataset, transform, encode, {"image", "index"}, "target", seed, bad)
    return with_labels(plain, {"name": "camvid", "train_split": "train"}, 3)


def test_crops_are_the_same_whatever_the_seed_and_the_label_is_the_images(root: Path) -> None:
    (one, label), (other, again) = (next(labelled_batches(stream(root, s), 2, 2)) for s in (0, 7))
    assert torch.equal(one.image, other.image)
    assert torch.equal(label, again)
    assert one.image.shape == (2, 3, 16, 16)
    assert label.shape == (2, 16, 16)
    assert one.image.max() <= 1
    whole = stream(root)
    whole.transform = Transform(None, None, None, False, 0.0)
    (_, labels), *_ = labelled_batches(whole, 5, 5)
    assert one.index is not None
    for index, window, shown in zip(one.index, one.window, label, strict=True):
        left, top, right, _ = (window * torch.tensor([64, 48, 64, 48])).round().int().tolist()
        rows = labels[index][top : top + 16]
        crop = rows[:, left:right] if left < right else rows[:, right:left].flip(1)
        assert torch.equal(shown, crop)


def test_no_crop_is_chosen_by_a_label_that_training_does_not_have(root: Path) -> None:
    images = []
    for largest in (None, 0.01):  # no crop is as varied as that
        transform = Transform(None, None, [16, 16], True, 0.0, largest_class=largest)
        (target, _), *_ = labelled_batches(stream(root, transform=transform), 5, 5)
        images.append(target.image)
    assert torch.equal(*images)


@pytest.mark.parametrize(
    ("count", "size", "world", "expected"),
    [
        (4, 2, 1, [0, 1, 2, 3]),
        (3, 2, 1, [0, 1, 2, 3]),  # filled up to whole batches
        (99, 2, 1, [0, 0, 1, 2, 3, 4]),  # of five there are
        (1, 2, 2, [0, 1, 2, 3]),  # each rank has a batch
    ],
)
def test_batches_are_whole_and_every_rank_has_as_many(
    count: int, size: int, world: int, expected: list[int], root: Path
) -> None:
    shares = [list(labelled_batches(stream(root), count, size, r, world)) for r in range(world)]
    assert len({len(share) for share in shares}) == 1
    batches = [target.index for share in shares for target, _ in share]
    assert all(len(index) == size for index in batches)
    assert sorted(torch.cat(batches).tolist()) == expected


def test_one_that_cannot_be_read_gives_way_to_the_next_without_being_counted(root: Path) -> None:
    (root / "train" / "001.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"001\.png"):
        list(labelled_batches(stream(root), 5, 5))
    ((target, _),) = labelled_batches(stream(root, skip=True), 5, 5)
    assert target.index.tolist() == [0, 2, 2, 3, 4]
    assert list(root.glob("bad_images*")) == []
