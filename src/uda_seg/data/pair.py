"""Source and target together: the batches a run trains on and the images it is scored on."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from uda_seg.batch import Batch, Source, Target
from uda_seg.config import build
from uda_seg.data import transforms
from uda_seg.data.base import Dataset
from uda_seg.data.labels import Encoder, LabelSpace, label_space
from uda_seg.data.sampling import EveryNth, StepSampler, generator, sample_index
from uda_seg.errors import ConfigError

Config = Mapping[str, Any]


@dataclass
class Evaluation:
    """Images to be scored, with labels at their own resolution."""

    image: Tensor
    """(B, 3, H, W) uint8 RGB."""
    label: list[Tensor]
    """B times (h, w) uint8."""
    name: list[str]


class Domain:
    """The endless stream of one domain's training samples."""

    def __init__(
        self,
        dataset: Dataset,
        transform: transforms.Transform,
        encode: Encoder,
        fields: Collection[str],
        stream: str,
        seed: int,
    ) -> None:
        self.dataset, self.transform, self.encode = dataset, transform, encode
        self.fields, self.stream, self.seed = frozenset(fields), stream, seed

    def __getitem__(self, position: int) -> dict[str, Tensor]:
        index = sample_index(position, len(self.dataset), self.seed, self.stream)
        sample = self.dataset.read(index, self.fields)
        masks = {}
        if "label" in self.fields:
            assert sample.label is not None
            masks["label"] = self.encode(sample.label, sample.name)
        if "depth" in self.fields:
            assert sample.depth is not None
            masks["depth"] = sample.depth
        item = self.transform(sample.image, generator(self.seed, self.stream, position), **masks)
        return {name: to_tensor(array) for name, array in item.items()}


class TrainingPairs(TorchDataset):
    """What lies at one place of both streams."""

    def __init__(self, source: Domain, target: Domain) -> None:
        self.source, self.target = source, target

    def __getitem__(self, position: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        return self.source[position], self.target[position]


class EvaluationSet(TorchDataset):
    """A split with its labels, resized as the network wants its images."""

    def __init__(self, dataset: Dataset, size: list[int] | None, space: LabelSpace) -> None:
        self.dataset, self.encode = dataset, Encoder(space, dataset)
        self.resize = transforms.resize(size) if size else None

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, str]:
        sample = self.dataset.read(index, {"image", "label"})
        image = self.resize(image=sample.image)["image"] if self.resize else sample.image
        assert sample.label is not None
        label = self.encode(sample.label, sample.name)
        return to_tensor(image), torch.from_numpy(label), sample.name


def to_tensor(array: np.ndarray) -> Tensor:
    """Images to (3, H, W) uint8, labels stay (H, W) uint8, depth becomes (1, H, W)."""
    if array.ndim == 3:
        array = array.transpose(2, 0, 1)
    elif array.ndim == 2 and array.dtype == np.float32:
        array = array[None]
    return torch.from_numpy(np.ascontiguousarray(array))


def collate_pairs(items: list[tuple[dict[str, Tensor], dict[str, Tensor]]]) -> Batch:
    def stacked(side: int) -> dict[str, Tensor]:
        try:
            return {k: torch.stack([item[side][k] for item in items]) for k in items[0][side]}
        except RuntimeError as error:
            raise ConfigError(
                f"{('source', 'target')[side]}: images of one batch differ in size; set "
                f"{('source', 'target')[side]}.size=[h,w] or .augment.crop=[h,w]"
            ) from error

    return Batch(Source(**stacked(0)), Target(**stacked(1)))


def collate_evaluation(items: list[tuple[Tensor, Tensor, str]]) -> Evaluation:
    images, labels, names = zip(*items, strict=True)
    return Evaluation(torch.stack(images), list(labels), list(names))


def open_split(domain: Config, split: str) -> Dataset:
    """The dataset of a `source:` or `target:` config, at one of its splits."""
    return build(domain, split=split)


def evaluation_loader(
    domain: Config,
    space: LabelSpace,
    split: str,
    batch_size: int,
    workers: int,
    rank: int = 0,
    world: int = 1,
) -> DataLoader:
    """Batches of `Evaluation`; a rank gets its share, none padded."""
    dataset = open_split(domain, split)
    pictures = EvaluationSet(dataset, domain.get("size"), space)
    return DataLoader(
        pictures,
        batch_size,
        sampler=EveryNth(len(pictures), rank, world),
        collate_fn=collate_evaluation,
        num_workers=workers,
    )


class Pair(LightningDataModule):
    """
    Args:
        source: the `source:` config.
        target: the `target:` config.
        supervised_by: "source", or "target" for the oracle: then, and only then, the target's
            training labels are opened, and its images stand where the source's do.
        needs: optional fields the method reads, such as "source.depth".
        classes: chosen label space, or None for all common classes.
        batch_size: samples a step and process.
        workers: processes that read; 0 reads in this one.
        seed: of the stream of samples.
    """

    def __init__(
        self,
        source: Config,
        target: Config,
        supervised_by: str,
        needs: Collection[str],
        classes: list[str] | None,
        batch_size: int,
        workers: int,
        seed: int,
    ) -> None:
        super().__init__()
        self.target_config, self.batch_size, self.workers = target, batch_size, workers
        source_set = open_split(source, source["train_split"])
        target_set = open_split(target, target["train_split"])
        self.space = label_space(classes, source_set.classes.values(), target_set.classes.values())
        if supervised_by == "target":
            source, source_set = target, target_set
        _check_needs(needs, source_set)
        self.source = self._domain(source, source_set, "source", {"image", "label"}, needs, seed)
        self.target = self._domain(target, target_set, "target", {"image"}, needs, seed)

    def _domain(
        self,
        config: Config,
        dataset: Dataset,
        stream: str,
        fields: set[str],
        needs: Collection[str],
        seed: int,
    ) -> Domain:
        extra = {need.split(".")[1] for need in needs if need.startswith(f"{stream}.")}
        return Domain(
            dataset,
            transforms.from_config(config.get("size"), config["augment"]),
            Encoder(self.space, dataset),
            fields | (extra & {"depth"}),
            stream,
            seed,
        )

    def train_dataloader(self) -> DataLoader:
        trainer = self.trainer
        assert trainer is not None
        return DataLoader(
            TrainingPairs(self.source, self.target),
            batch_sampler=StepSampler(
                self.batch_size,
                lambda: trainer.global_step,
                trainer.global_rank,
                trainer.world_size,
            ),
            collate_fn=collate_pairs,
            num_workers=self.workers,
            pin_memory=torch.cuda.is_available(),
            prefetch_factor=4 if self.workers else None,
            persistent_workers=self.workers > 0,
        )

    def val_dataloader(self) -> DataLoader:
        trainer = self.trainer
        assert trainer is not None
        return evaluation_loader(
            self.target_config,
            self.space,
            self.target_config["val_split"],
            self.batch_size,
            self.workers,
            trainer.global_rank,
            trainer.world_size,
        )

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Images travel as bytes and become floats on the device."""
        if isinstance(batch, Batch):
            batch.source.image, batch.target.image = (
                domain.image.float() / 255 for domain in (batch.source, batch.target)
            )
            batch.source.label = batch.source.label.long()
        elif isinstance(batch, Evaluation):
            batch.image = batch.image.float() / 255
        return batch

    def panel_samples(self, count: int) -> list[tuple[Tensor, np.ndarray]]:
        """Evenly spread validation samples: image (3, H, W) float in [0, 1], label (h, w)."""
        dataset = open_split(self.target_config, self.target_config["val_split"])
        pictures = EvaluationSet(dataset, self.target_config.get("size"), self.space)
        count = min(count, len(pictures))
        chosen = [pictures[i * len(pictures) // count] for i in range(count)]
        return [(image.float() / 255, label.numpy()) for image, label, _ in chosen]


def _check_needs(needs: Collection[str], source: Dataset) -> None:
    if "source.depth" in needs and not source.has_depth:
        raise ConfigError(
            f"method: needs source.depth, which {type(source).__name__} does not have; "
            "choose a source with depth, such as source=toytown"
        )
