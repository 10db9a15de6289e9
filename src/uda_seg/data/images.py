"""Any folder of pictures, unlabelled: only to be adapted to."""

from pathlib import Path

import numpy as np

from uda_seg.data.base import FileDataset, Files
from uda_seg.data.files import pictures_in, read_rgb
from uda_seg.errors import DataError


class Images(FileDataset):
    """
    Args:
        root: searched with all folders in it; hidden ones are left out.
        split: "all".
    """

    classes = {}
    has_labels = False

    def __init__(self, root: str, split: str) -> None:
        folder = Path(root)
        if not folder.is_dir():
            is_file = "is a file" if folder.is_file() else "is not there"
            raise DataError(
                f"{folder.resolve()}: {is_file}; set target.root= to a folder of pictures"
            )
        found = pictures_in(folder, "**/*")
        shown = [p for p in found if not any(n[0] == "." for n in p.relative_to(folder).parts)]
        if not shown:
            raise DataError(
                f"{folder.resolve()}: holds no pictures, nor does any folder in it; "
                "set target.root= to a folder that does (target=video reads videos)"
            )
        super().__init__(root, [Files(path) for path in shown])

    def read_image(self, path: Path) -> np.ndarray:
        """Cameras store a picture as the sensor lay, and in EXIF how it was held."""
        return read_rgb(path, upright=True)
