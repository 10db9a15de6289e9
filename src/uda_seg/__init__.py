"""Unsupervised domain adaptation for semantic segmentation."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # torch takes seconds to import; the command line checks itself without it
    from uda_seg.prediction.predictor import Predictor

__version__ = "0.1.0"


def load(path: str | Path, device: str = "auto", size: Any = None) -> "Predictor":
    """A trained network, ready to predict.

        network = uda_seg.load("outputs/RUN")
        mask = network.predict("street.jpg")     # (H, W) uint8
        network.classes[mask[0, 0]]              # the name of the first pixel's class

    Args:
        path: a run folder (its last checkpoint; with several runs in it, name one) or a .ckpt file.
        device: cpu, cuda, mps, gpu, or auto: the best there is.
        size: (height, width) the network sees; None: as in the run; "own": each picture's own.

    Raises:
        ConfigError: there is no such checkpoint, device or size.
        WeightsError: the file is no checkpoint of uda_seg, or is damaged.
    """
    from uda_seg.prediction.predictor import predictor_of
    from uda_seg.runs.trained import open_trained

    return predictor_of(open_trained(path, "path", device), size=size)
