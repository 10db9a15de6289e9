"""Source and target together: the batches a run trains on and the images it is scored on."""

import logging
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from uda_seg.batch import Batch, Source, Target, TargetPass
from uda_seg.data.cache.cached_dataset import cached
from uda_seg.data.cache.slic import SLIC, with_superpixels
from uda_seg.data.cache.superpixel_check import check_prepared
from uda_seg.data.checking.class_overlap import slips, space_of
from uda_seg.data.checking.first_look import first_look
from uda_seg.data.checking.shared_images import shared_images
from uda_seg.data.datasets.bad_images import BadImages
from uda_seg.data.datasets.base import Dataset
from uda_seg.data.datasets.few_samples import evenly_spaced
from uda_seg.data.datasets.labels import LabelMapper, other_classes
from uda_seg.data.datasets.opening import Config, open_scored, open_split
from uda_seg.data.feeding import transforms
from uda_seg.data.feeding.evaluation_set import (
    Evaluation,
    EvaluationSet,
    collate_evaluation,
    within,
)
from uda_seg.data.feeding.labelled_target import labelled_batches, with_labels
from uda_seg.data.feeding.rare_classes import RareClasses, statistics
from uda_seg.data.feeding.sampling import EveryNth, StepSampler
from uda_seg.data.feeding.streams import (
    Loader,
    TrainingPairs,
    TrainingStream,
    WholeImages,
    collate_pairs,
    collate_whole,
)
from uda_seg.data.feeding.worker_room import workers_with_room
from uda_seg.errors import ConfigError, DataError

log = logging.getLogger(__name__)

PREFETCHED = 4
"""Batches that each worker keeps ready."""


def evaluation_loader(
    pictures: EvaluationSet, batch_size: int, workers: int, rank: int = 0, world: int = 1
) -> DataLoader:
    """Batches of `Evaluation`; a rank gets its share, none padded."""
    return Loader(
        pictures,
        collate_evaluation,
        batch_size=batch_size,
        sampler=EveryNth(len(pictures), rank, world),
        num_workers=workers,
    )


class DomainDataModule(LightningDataModule):
    """
    Args:
        source: the `source:` config.
        target: the `target:` config.
        supervised_by: "source", or "target" for the oracle: then, and only then, the target's
            training labels are opened, and its images stand where the source's do.
        reads_target: whether the method looks at the target's training images.
        needs: optional fields the method reads, such as "source.depth".
        classes: chosen label space, by name or as a list; None for all common classes.
        batch_size: samples a step and process.
        workers: processes that read; 0 reads in this one.
        seed: of the stream of samples.
        bad_images: what happens when a training sample cannot be read.
        cache: "none", "disk", "ram" or "auto": where decoded, resized samples are kept.
        cache_root: folder of "disk", and of superpixels.
        superpixels: how an image is divided, for methods that need it.
        observed: target training images whose labels are opened beside training; 0: none.
        rare_classes: settings of `RareClasses`, by which labelled samples are drawn; None: all in
            turn.
        limit_val_images: at most so many validation images are scored; None: all.

    Raises:
        ConfigError: the two do not go together, or lack what the method needs.
        DataError: files are missing, or the first look at some samples finds a mistake.
    """

    def __init__(
        self,
        source: Config,
        target: Config,
        supervised_by: str,
        reads_target: bool,
        needs: Collection[str],
        classes: str | list[str] | None,
        batch_size: int,
        workers: int,
        seed: int,
        bad_images: BadImages,
        cache: str,
        cache_root: str,
        superpixels: SLIC | None = None,
        observed: int = 0,
        rare_classes: Mapping[str, Any] | None = None,
        limit_val_images: int | None = None,
    ) -> None:
        super().__init__()
        self.cache, self.cache_root, self.superpixels = cache, cache_root, superpixels
        self.target_config, self.batch_size, self.workers = target, batch_size, workers
        self.bad_images, self.reads_target = bad_images, reads_target
        source_set = open_split(source, source["train_split"])
        target_set = open_split(target, target["train_split"])
        self.space = space_of(classes, source_set, target_set)
        for slip in slips(self.space, source_set, target_set):
            log.warning(slip)
        sides = {"source": source, "target": target}
        learned: Dataset | None = source_set
        if supervised_by == "target":
            source, source_set, learned = target, target_set, None
        _check_supervision(supervised_by, source, source_set)
        _check_needs(needs, source_set)
        self.source = self._domain(source, source_set, "source", {"image", "label"}, needs, seed)
        self.target = self._domain(target, target_set, "target", {"image"}, needs, seed)
        self.observed, looked_at = observed, self.target
        if observed:
            looked_at = self.labelled_target = with_labels(self.target, target, observed)
        for side, domain in ((supervised_by, self.source), ("target", looked_at)):
            first_look(domain.dataset, domain.fields, domain.encode, bad_images, side)
        if rare_classes is not None:
            unreadable = self.source.met_unreadable
            counted = statistics(source_set, self.space, cache_root, workers, unreadable)
            self.source.rare_classes = RareClasses(counted, rare_classes)
        self._open_validation(limit_val_images)
        scored = self.pictures.dataset
        opened = ((supervised_by, source_set), ("target", target_set), ("target", scored))
        remarks = [f"{side}: {remark}" for side, dataset in opened for remark in dataset.remarks()]
        for words in dict.fromkeys([*remarks, *shared_images(learned, target_set, scored, sides)]):
            log.warning("%s", words)

    def _domain(
        self,
        config: Config,
        dataset: Dataset,
        stream: str,
        fields: set[str],
        needs: Collection[str],
        seed: int,
    ) -> TrainingStream:
        extra = {need.split(".")[1] for need in needs if need.startswith(f"{stream}.")}
        read = cached(dataset, config.get("size"), self.cache, self.cache_root)
        if "superpixels" in extra:
            assert self.superpixels is not None
            read = with_superpixels(read, config.get("size"), self.cache_root, self.superpixels)
            check_prepared(read, config, self.cache_root, self.superpixels, self.bad_images.skip)
        return TrainingStream(
            read,
            transforms.from_config(config.get("size"), config["augment"]),
            LabelMapper(self.space, dataset),
            fields | (extra & {"depth", "superpixels", "index"}),
            stream,
            seed,
            self.bad_images,
        )

    def _open_validation(self, limit: int | None) -> None:
        """Samples to be scored are never skipped: the score would be another one."""
        size = self.target_config.get("size")
        dataset = open_scored(self.target_config, self.target_config["val_split"])
        dataset = cached(dataset, size, self.cache, self.cache_root, own_labels=True)
        others = other_classes(self.space, dataset)
        self.pictures = EvaluationSet(dataset, size, self.space, others, limit)
        fields = {"image", "label"} if dataset.has_labels else {"image"}
        encode = LabelMapper(self.space, dataset)
        first_look(dataset, fields, encode, BadImages(False, None), "target")
        if not dataset.has_labels:
            log.warning(
                "target=%s has no labels: nothing is scored, and only the label-free choice of a "
                "checkpoint is made; score it with: evaluate checkpoint=… target=…",
                self.target_config["name"],
            )

    def train_dataloader(self) -> DataLoader:
        trainer = self.trainer
        assert trainer is not None
        pairs = TrainingPairs(self.source, self.target if self.reads_target else None)
        self.workers = self._workers_with_room(pairs, trainer.num_devices)
        return Loader(
            pairs,
            collate_pairs,
            batch_sampler=StepSampler(
                self.batch_size,
                lambda: trainer.global_step,
                trainer.global_rank,
                trainer.world_size,
            ),
            num_workers=self.workers,
            pin_memory=torch.cuda.is_available(),
            prefetch_factor=PREFETCHED if self.workers else None,
            persistent_workers=self.workers > 0,
        )

    def _workers_with_room(self, pairs: TrainingPairs, ranks: int) -> int:
        if not self.workers:
            return 0
        try:
            batch = collate_pairs([pairs[0]] * self.batch_size)
        except DataError:
            return self.workers  # whoever reads it next says so
        return workers_with_room(self.workers, batch, PREFETCHED, ranks)

    def val_dataloader(self) -> DataLoader:
        trainer = self.trainer
        assert trainer is not None
        return evaluation_loader(
            self.pictures,
            self.batch_size,
            self.workers,
            trainer.global_rank,
            trainer.world_size,
        )

    def target_pass(self, device: torch.device) -> TargetPass:
        """All target training images, shared out among the processes."""
        trainer = self.trainer
        assert trainer is not None
        size = self.target_config.get("size")
        loader = Loader(
            WholeImages(self.target, size),
            collate_whole,
            batch_size=self.batch_size if size else 1,  # own sizes may differ
            sampler=EveryNth(len(self.target.dataset), trainer.global_rank, trainer.world_size),
            num_workers=self.workers,
        )
        return TargetPass(loader, len(self.target.dataset), device)

    def labelled_batches(self, size: int) -> Iterator[tuple[Target, Tensor]]:
        """This process's share of the target training images whose labels are opened: batches on
        the CPU, with labels (B, H, W).
        """
        trainer = self.trainer
        assert trainer is not None
        share = trainer.global_rank, trainer.world_size
        return labelled_batches(self.labelled_target, self.observed, size, *share)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Images travel as bytes and become floats on the device."""
        if isinstance(batch, Batch):
            batch.source.image, batch.target.image = (
                domain.image.float().div_(255) for domain in (batch.source, batch.target)
            )
            batch.source.label = batch.source.label.long()
            if batch.target.superpixels is not None:
                batch.target.superpixels = batch.target.superpixels.long()
        elif isinstance(batch, Evaluation):
            batch.image = batch.image.float().div_(255)
        return batch

    def panel_samples(self, count: int) -> list[tuple[Tensor, np.ndarray]]:
        """Evenly spread validation samples: image (3, H, W) float in [0, 1], label (h, w)."""
        chosen = [self.pictures[index] for index in evenly_spaced(len(self.pictures), count)]
        known = len(self.space)
        return [(image.float() / 255, within(label.numpy(), known)) for image, label, _ in chosen]

    def panel_source(self, number: int, device: torch.device) -> Source:
        """A training sample of the source, the same one for a number every time, as a batch."""
        item = {name: value[None].to(device) for name, value in self.source[number].items()}
        image, label = item.pop("image").float() / 255, item.pop("label").long()
        return Source(image, label, **item)

    def panel_target(self, number: int, device: torch.device) -> Target:
        """A training sample of the target, the same one for a number every time, as a batch."""
        item = {name: value[None].to(device) for name, value in self.target[number].items()}
        image, superpixels = item.pop("image").float() / 255, item.pop("superpixels", None)
        return Target(
            image, superpixels=None if superpixels is None else superpixels.long(), **item
        )


def _check_supervision(supervised_by: str, config: Config, dataset: Dataset) -> None:
    if not dataset.has_labels:
        raise ConfigError(
            f"{supervised_by}={config['name']}: has no labels at split "
            f"{config['train_split']}, which this method learns from; choose another "
            f"{supervised_by}" + ("" if supervised_by == "source" else " or method")
        )


def _check_needs(needs: Collection[str], source: Dataset) -> None:
    if "source.depth" in needs and not source.has_depth:
        raise ConfigError(
            f"method: needs source.depth, which {type(source).__name__} does not have; "
            "choose a source with depth, such as toytown, synthia or virtual_kitti, or a variant "
            "of the method that does not need it"
        )
