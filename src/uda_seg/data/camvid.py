"""CamVid in its wide-spread 11-class form (Brostow et al., 2009; split and classes of SegNet).

Layout: `{train,val,test}/NAME.png` with `{train,val,test}annot/NAME.png`; those are index PNGs, 0
to 10, and 11 for void.
"""

from uda_seg.data.base import FileDataset, Files, folder_of

CLASSES = {
    0: "sky",
    1: "building",
    2: "pole",
    3: "road",
    4: "sidewalk",
    5: "vegetation",
    6: "traffic sign",
    7: "fence",
    8: "car",
    9: "person",
    10: "bicyclist",
}


class CamVid(FileDataset):
    """
    Args:
        root: holds the folders named above.
        split: train, val or test.
    """

    classes = CLASSES
    void = {11: "void"}

    def __init__(self, root: str, split: str) -> None:
        images = folder_of(root, split)
        labels = images.with_name(f"{split}annot")
        found = sorted(p for p in images.iterdir() if p.suffix.lower() in (".png", ".jpg"))
        super().__init__(
            root, [Files(image, label=labels / f"{image.stem}.png") for image in found]
        )
