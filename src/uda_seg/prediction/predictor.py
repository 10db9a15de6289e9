"""One checkpoint's network, and how pictures are put to it."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor, nn

from uda_seg.components.entropy import normalised_entropy
from uda_seg.config import build
from uda_seg.data.feeding.streams import to_tensor
from uda_seg.data.files.reading import read_rgb
from uda_seg.errors import ConfigError, DataError
from uda_seg.evaluation.enlarged import Enlarged
from uda_seg.evaluation.inference import Inference
from uda_seg.evaluation.selection import cached_parts
from uda_seg.images.scaling import resize_image
from uda_seg.runs.trained import Trained


@dataclass
class Frame:
    """A picture, or a frame of a video.

    Attributes:
        place: its number among those that are read.
        image: (H, W, 3) uint8 RGB, as it lies.
        prepared: for each predictor, (3, h, w) uint8.
    """

    place: int
    image: np.ndarray
    prepared: list[Tensor]


@dataclass
class Answer:
    """At the picture's own size.

    Attributes:
        ids: (H, W) uint8 classes of the run.
        entropy: (H, W) float32, -Σ p ln p / ln C: 0 is certain, 1 knows nothing; or None.
    """

    ids: np.ndarray
    entropy: np.ndarray | None


class Predictor:
    """
    Args:
        network: in evaluation mode, on its device.
        classes: their names.
        inference: whole or in windows.
        size: (height, width) the network sees; None: the picture's own.
        precision: "32-true" or "bf16-mixed".
    """

    def __init__(
        self,
        network: nn.Module,
        classes: Sequence[str],
        inference: Inference,
        size: Sequence[int] | None,
        precision: str,
    ) -> None:
        self.network, self.classes, self.inference = network, list(classes), inference
        self.size = None if size is None else (int(size[0]), int(size[1]))
        self.half = precision == "bf16-mixed"
        self.device = next(network.parameters()).device

    @property
    def usual_batch(self) -> int:
        """Pictures predicted at once. On a CPU four frames of 1024x512 take twice as long as one by
        one: their maps are larger than its caches, and than what the process keeps of freed memory.
        """
        return 1 if self.device.type == "cpu" else 4

    def predict(self, image: str | os.PathLike[str] | Image.Image | np.ndarray) -> np.ndarray:
        """The mask of one picture.

        Args:
            image: a file (turned as its EXIF says), a PIL image, or an array (H, W, 3) uint8 RGB.

        Returns:
            (H, W) uint8, at the picture's own size; `classes[id]` names what a pixel is.

        Raises:
            DataError: it is no such picture.
        """
        pixels = pixels_of(image)
        answers = self(self.prepare(pixels)[None], [(pixels.shape[0], pixels.shape[1])], False)
        return answers[0].ids

    def prepare(self, image: np.ndarray) -> Tensor:
        """(H, W, 3) uint8 to (3, h, w) uint8."""
        return to_tensor(image if self.size is None else resize_image(image, self.size))

    @torch.no_grad()
    def __call__(
        self, images: Tensor, sizes: Sequence[tuple[int, int]], entropy: bool
    ) -> list[Answer]:
        """
        Args:
            images: (B, 3, h, w) uint8.
            sizes: (H, W) of each picture itself.
            entropy: worked out as well, at the network's resolution, and enlarged.
        """
        images = images.to(self.device).float() / 255
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            each = self.inference.each(self.network, images)
        answers = []
        for logits, size in zip(each, sizes, strict=True):
            ids = self.inference.predict(logits, size)[0]
            own = None
            if entropy:
                enlarged = F.interpolate(entropy_map(logits), size, mode="bilinear")
                own = enlarged[0, 0].cpu().numpy()
            answers.append(Answer(ids.cpu().numpy(), own))
        return answers


def pixels_of(image: str | os.PathLike[str] | Image.Image | np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 RGB of a file, a PIL image or an array.

    Raises:
        DataError: it is none of these.
    """
    if isinstance(image, (str, os.PathLike)):
        return read_rgb(Path(image).expanduser(), upright=True)
    if isinstance(image, Image.Image):
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    pixels = np.asarray(image)
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
        raise DataError(
            f"image: an array of shape {pixels.shape} and type {pixels.dtype}; give (H, W, 3) "
            "uint8 RGB, a PIL image, or a file's path"
        )
    return np.ascontiguousarray(pixels)


def predictor_of(
    trained: Trained,
    inference: Inference | None = None,
    size: Any = None,
    precision: str = "32-true",
) -> Predictor:
    """
    Args:
        trained: the network.
        inference: None: as its run scored.
        size: (height, width) the network sees; None: as the run's target; "own": the picture's.
        precision: "32-true" or "bf16-mixed".

    Raises:
        ConfigError: it is no size.
    """
    if inference is None:
        inference = build(trained.run["inference"])
    if size is None:
        size = trained.run["target"].get("size")
    elif size == "own":
        size = None
    elif not (
        isinstance(size, Sequence)
        and len(size) == 2
        and all(type(side) is int and side >= 1 for side in size)
    ):
        raise ConfigError(f"size={size}: must be height, width, like [512,1024], or own")
    return Predictor(trained.network, trained.classes, inference, size, precision)


def entropy_map(logits: Tensor | Enlarged) -> Tensor:
    """(B, C, h, w) to (B, 1, h, w) in [0, 1]."""
    if isinstance(logits, Enlarged):
        rows = [normalised_entropy(part) for _, part in logits.parts()]
        return torch.cat(rows)[None, None].clamp(0, 1)
    parts = [normalised_entropy(part) for part in cached_parts(logits.float())]
    return torch.cat(parts, 1)[:, None].clamp(0, 1)


def answer_frames(
    frames: Iterable[Frame], predictors: Sequence[Predictor], batch_size: int, entropy: bool
) -> Iterator[tuple[Frame, list[Answer]]]:
    """Each frame with an answer a predictor; the entropy is asked of the first one alone."""
    for batch in batches(frames, batch_size):
        sizes = [(frame.image.shape[0], frame.image.shape[1]) for frame in batch]
        each = []
        for number, predictor in enumerate(predictors):
            images = torch.stack([frame.prepared[number] for frame in batch])
            each.append(predictor(images, sizes, entropy and number == 0))
        for place, frame in enumerate(batch):
            yield frame, [answers[place] for answers in each]


def batches(frames: Iterable[Frame], most: int) -> Iterator[list[Frame]]:
    """Neighbors that the networks see at one size."""
    batch: list[Frame] = []
    for frame in frames:
        if batch and (len(batch) == most or _shapes(batch[0]) != _shapes(frame)):
            yield batch
            batch = []
        batch.append(frame)
    if batch:
        yield batch


def _shapes(frame: Frame) -> list[torch.Size]:
    return [image.shape for image in frame.prepared]
