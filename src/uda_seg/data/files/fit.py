"""Whether a label or depth belongs to its image: they have one size."""

from pathlib import Path

import numpy as np

from uda_seg.data.files.headers import orientation_of
from uda_seg.data.files.reading import load
from uda_seg.errors import DataError


def check_size(
    path: Path, array: np.ndarray, image_path: Path, image: np.ndarray, cure_of_turned: str
) -> None:
    """
    Args:
        path: of the label or depth.
        array: (H, W).
        image_path: of its image.
        image: (h, w, 3).
        cure_of_turned: what to do where one of them lies upright, and the other as it was stored.

    Raises:
        DataError: sizes differ.
    """
    if array.shape == image.shape[:2]:
        return
    cure = "take both from one release"
    if array.shape == image.shape[1::-1] and orientation_of(load(image_path)) != 1:
        cure = f"the image's EXIF says that it is to be turned: {cure_of_turned}"
    raise DataError(
        f"{path}: is {array.shape[1]}x{array.shape[0]} pixels, "
        f"but its image {image_path.name} is {image.shape[1]}x{image.shape[0]}; {cure}"
    )
