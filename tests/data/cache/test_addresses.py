"""What an entry of the cache hangs on."""

from pathlib import Path

import numpy as np

from uda_seg.data.cache.cached_dataset import Cached, cached
from uda_seg.data.datasets.camvid import CamVid

SIZE = [30, 44]


def test_a_changed_color_table_gives_new_labels_but_keeps_images(
    camvid: Path, tmp_path: Path
) -> None:
    kept = cached(CamVid(str(camvid), "train"), SIZE, "disk", str(tmp_path / "kept"))
    assert isinstance(kept, Cached)
    before = [kept.address(0, "same", kind) for kind in ("image", "label")]
    kept.code = "another"
    image, label = (kept.address(0, "same", kind) for kind in ("image", "label"))
    assert image == before[0]
    assert label != before[1]


def test_a_setting_that_labels_may_be_read_by_is_part_of_their_address(
    camvid: Path, tmp_path: Path
) -> None:
    """A dataset of one's own need not know of the cache."""

    class Shifted(CamVid):
        def __init__(self, root: str, split: str, shift: int) -> None:
            super().__init__(root, split)
            self.shift = shift

        def read_label(self, path: Path) -> np.ndarray:
            return super().read_label(path) + self.shift

    labels, images = [], []
    for shift in (0, 1, 0):
        kept = cached(Shifted(str(camvid), "train", shift), SIZE, "disk", str(tmp_path / "kept"))
        labels.append(kept.read(0, {"image", "label"}).label)
        images.append(kept.address(0, "same", "image"))  # type: ignore[attr-defined]
    np.testing.assert_array_equal(labels[1], labels[0] + 1)  # type: ignore[operator]
    np.testing.assert_array_equal(labels[2], labels[0])
    assert len(set(images)) == 1
