"""Ids never wrap around, and strange ones are named as they are."""

import numpy as np
import pytest

from uda_seg.data.checking.examination import pixels_of
from uda_seg.data.datasets.base import Dataset, Sample
from uda_seg.data.datasets.labels import UNNAMED, LabelMapper, LabelSpace
from uda_seg.data.datasets.merged import MergedDataset
from uda_seg.data.files.label_ids import divide_ids, divisor_of, whole
from uda_seg.errors import DataError
from uda_seg.images.scaling import resize_mask

WIDE = np.array([[7, -1], [65536 + 7, 2**32 - 1]])


class Streets(Dataset):
    classes = {7: "road", 23: "sky"}
    void = {0: "void", -1: "nothing", 2**32 - 1: "no data"}

    def __len__(self) -> int:
        return 1

    def read(self, index: int, fields: object) -> Sample:
        return Sample(np.zeros((2, 2, 3), np.uint8), WIDE)


@pytest.mark.parametrize("kind", "u1 i1 u2 i2 >u2 i4 u4 i8 u8 f4 f8".split())
def test_small_ids_become_bytes_whatever_they_were(kind: str) -> None:
    ids = whole("mask", np.array([[0, 1], [7, 100]]).astype(kind))
    assert (ids.dtype, ids.tolist()) == (np.uint8, [[0, 1], [7, 100]])


def test_wide_ids_stay_what_they_are() -> None:
    assert whole("mask", np.array([[-1, 7]], np.int16)).tolist() == [[-1, 7]]
    assert whole("mask", np.array([[2**32 - 1]], np.uint32)).tolist() == [[2**32 - 1]]
    assert whole("mask", np.array([[-9999.0, 3.0]], np.float32)).tolist() == [[-9999, 3]]
    assert whole("mask", np.array([[True, False]])).tolist() == [[1, 0]]


@pytest.mark.parametrize(
    ("number", "words"),
    [(np.nan, "nan"), (np.inf, "inf"), (0.5, "0.5"), (-3.4e38, "-3.4e[+]38")],
)
def test_numbers_that_are_no_ids_are_named(number: float, words: str) -> None:
    label = np.array([[1, number, 2]], np.float32)
    with pytest.raises(DataError, match=rf"a.tif: .* no ids \({words}\) at 1 of 3 pixels; ids are"):
        whole("a.tif", label)


def test_the_encoder_folds_nothing() -> None:
    encode = LabelMapper(LabelSpace(("sky", "road")), Streets())
    assert encode.looked_up(WIDE).tolist() == [[1, 255], [UNNAMED, 255]]
    with pytest.raises(DataError, match=r"x: the label holds ids -7, 256, 65543, for"):
        encode(np.array([[-7, 256, 65543, 7]]), "x")


def test_a_dataset_of_ones_own_may_hand_over_any_numbers() -> None:
    encode = LabelMapper(LabelSpace(("sky", "road")), Streets())
    assert encode(np.array([[7.0, 23.0, -1.0]]), "x").tolist() == [[1, 0, 255]]
    with pytest.raises(DataError, match="x: the label holds floating-point numbers that are no"):
        encode(np.array([[0.5]]), "x")


def test_several_datasets_keep_wide_ids_too() -> None:
    both = MergedDataset({"a": Streets(), "b": Streets()}, None)
    renumber = both.renumber["a"]
    ids = renumber(np.array([[7, -1, 2**32 - 1]]), "x")
    assert [both.classes.get(i) or both.void[i] for i in ids[0]] == ["road", "nothing", "no data"]
    with pytest.raises(DataError, match="holds ids 65543"):
        both.read(1, {"label"})


def test_wide_ids_are_counted_and_resized() -> None:
    assert pixels_of(WIDE) == {-1: 1, 7: 1, 65543: 1, 2**32 - 1: 1}
    for kind in (np.int32, np.int64):
        label = WIDE.astype(kind)
        np.testing.assert_array_equal(resize_mask(label, (6, 4)), label.repeat(3, 0).repeat(2, 1))


def test_ids_of_instances_are_divided() -> None:
    label = np.array([[0, 7, 999, 1000, 26003, -1]])
    assert divide_ids(label, 1000, small_too=False).tolist() == [[0, 7, 999, 1, 26, -1]]
    assert divide_ids(label, 1000, small_too=True).tolist() == [[0, 0, 0, 1, 26, -1]]


def test_what_looks_like_instances_is_called_so() -> None:
    assert divisor_of([26001, 24000], {24, 26}) == 1000
    assert divisor_of([7 * 256 + 3, 8 * 256], {7, 8}) == 256
    assert divisor_of([26001, 99], {24, 26}) == 1000
    assert divisor_of([256 + 7, 512 + 7], {0, 1, 2}) == 256
    assert divisor_of([300], {7}) is None
    assert divisor_of([65535], {0, 255}) is None  # no data, in 16 bits
    assert divisor_of([65535, 26001], {26, 255}) == 1000
    assert divisor_of([99], {7}) is None
    with pytest.raises(DataError, match=r"look like class \* 1000 .* not those of instances"):
        LabelMapper(LabelSpace(("road",)), Streets())(np.array([[7001, 23002, 7]]), "x")
