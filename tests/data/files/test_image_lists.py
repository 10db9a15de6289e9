"""Lists of a split's images, in the many ways people write them."""

from pathlib import Path
from typing import Any

import pytest
from data.datasets.test_folder import folder, write

from uda_seg.errors import DataError

VOC = {
    "images": "images",
    "labels": "masks",
    "split_list": "ImageSets/Segmentation/{split}.txt",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("a/1", "a/2", "b/1", "3", "a b/my street.v2"):
        write(tmp_path, f"{name}.jpg", f"{name}.png", split="")
    return tmp_path


def chosen(root: Path, text: str | bytes, **given: Any) -> list[str]:
    path = root / "ImageSets/Segmentation/train.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    dataset = folder(root, "train", **(VOC | given))
    assert list(dataset.missing({"label"})) == []
    return [file.image.relative_to(root / "images").as_posix() for file in dataset.files]


@pytest.mark.parametrize(
    "line",
    [
        "a/1", "a/1.jpg", "a/1.JPG", "A/1", "./a/1.jpg", "a\\1.jpg", "/images/a/1.jpg",
        "images/a/1", "VOCdevkit/VOC2012/images/a/1.jpg", "/home/you/data/images/a/1.jpg",
        "D:\\data\\images\\a\\1.jpg", "a/1 masks/a/1.png", "a/1.jpg\tmasks/a/1.png",
        "/images/a/1.jpg /masks/a/1.png", "a/1,a/1", "images/a/1.jpg, masks/a/1.png",
        "/far/images/a/1.jpg /far/masks/a/1.PNG",
    ],
)  # fmt: skip
def test_an_image_may_be_named_in_many_ways(root: Path, line: str) -> None:
    assert chosen(root, f"{line}\n") == ["a/1.jpg"]


def test_order_empty_lines_comments_and_encodings_do_not_matter(root: Path) -> None:
    lines = "# ours\r\n\r\n3\r\n  b/1.jpg  \r\na b/my street.v2\r\na/2"
    expected = ["3.jpg", "a/2.jpg", "a b/my street.v2.jpg", "b/1.jpg"]
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        assert chosen(root, lines.encode(encoding)) == expected
    assert chosen(root, "a b/my street.v2.jpg masks/a b/my street.v2.png") == expected[2:3]


def test_a_list_may_name_masks_that_are_called_otherwise(root: Path) -> None:
    (root / "masks/3.png").rename(root / "other.png")
    assert chosen(root, "3.jpg other.png\n", labels="nowhere") == ["3.jpg"]
    dataset = folder(root, "train", **VOC, image_name="{stem}.jpg", label_name="{stem}_x.png")
    assert dataset.files[0].label == root / "other.png"
    assert chosen(root, "3 other\n") == ["3.jpg"]


def test_what_image_and_mask_share_will_do(root: Path) -> None:
    write(root, "c/7_rgb.png", "c/7_ids.png", split="")
    names = {"image_name": "{stem}_rgb.png", "label_name": "{stem}_ids.png"}
    assert chosen(root, "c/7", **names) == chosen(root, "7", **names) == ["c/7_rgb.png"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("3\na/9\n", r"train.txt:\n  line 2: a/9 is no image"),
        ("c/1\n", "line 1: c/1 is no image"),
        ("3.png\n", r"3.png is no image, did you mean 3.jpg\?"),
        ("a b/my stret.v2", r"did you mean my street.v2"),
        ("1\n", "line 1: 1 may be .*a/1.jpg and .*b/1.jpg; write its folder"),
        ("3\n\n3.jpg\n", "line 3: 3.jpg is in line 1 already"),
        ("image,mask\n3,3\n", "line 1: image,mask is no image"),
        ("3 masks/4.png\n", "line 1: the mask masks/4.png is not there"),
        ("\n# nothing\n", "names no image; one a line"),
        (b"\x89PNG\r\n\x1a\n\xff\xfe", "is no text file"),
        ("\n".join("pqrst"), "and 2 more lines"),
    ],
)
def test_mistakes_are_named_with_their_line(root: Path, text: str | bytes, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        chosen(root, text)


def test_a_list_that_is_not_there_is_named_with_those_that_are(root: Path) -> None:
    chosen(root, "3\n")
    with pytest.raises(DataError, match=r"split val: .*val.txt is not there \(there are train.txt"):
        folder(root, "val", **VOC)
