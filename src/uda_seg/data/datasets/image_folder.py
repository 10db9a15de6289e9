"""Any folder of pictures, unlabelled: only to be adapted to."""

from pathlib import Path

from uda_seg.data.datasets.base import FileDataset, Files
from uda_seg.errors import DataError


class Images(FileDataset):
    """
    Args:
        root: searched with all folders in it; hidden ones are left out.
        split: "all".
    """

    classes = {}
    has_labels = False
    upright = True
    """Cameras store a picture as the sensor lay, and in EXIF how it was held."""

    def __init__(self, root: str, split: str) -> None:
        folder = Path(root)
        if not folder.is_dir():
            is_file = "is a file" if folder.is_file() else "is not there"
            raise DataError(
                f"{folder.resolve()}: {is_file}; set target.root= to a folder of pictures"
            )
        found = self.pictures_in(folder, "**/*")
        if not found:
            raise DataError(
                f"{folder.resolve()}: holds no pictures, nor does any folder in it "
                f"({self._listings[-1].instead()}); "
                "set target.root= to a folder that does (target=video reads videos)"
            )
        super().__init__(root, [Files(path) for path in found])
