"""The published loops in plain PyTorch, as a user would otherwise run them: `step.py` times ours
against them.

Written from the papers' algorithms: torch's layers, losses and optimizers as they are, in torch's
default memory layout. Networks hold the weights of ours, so that losses can be compared.
"""

import copy
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
import torchvision.transforms.v2.functional as vision
from torch import Tensor, nn

from uda_seg.batch import IGNORE, Batch
from uda_seg.networks import cpu_layers

Loop = Callable[[Batch], Tensor]
"""Back-propagates a batch; returns the loss of segmentation."""


class PlainDeepLab(nn.Module):
    """DeepLab of plain layers, with the weights of one of ours."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        copied = copy.deepcopy(network)
        self.encoder, self.head, self.skip = copied.encoder, copied.head, copied.skip_head
        self.auxiliary = copied.auxiliary_head
        self.stages = network.auxiliary_stage, network.skip_stage
        self.corners = network.align_corners
        self.register_buffer("mean", copied.mean)
        self.register_buffer("std", copied.std)
        cpu_layers.undo(self)
        self.to(memory_format=torch.contiguous_format)

    def forward(self, image: Tensor, both: bool = False) -> tuple[Tensor, Tensor | None]:
        """(B, 3, H, W) in [0, 1] to logits (B, C, H, W), and the auxiliary head's, if wanted."""
        stages = self.encoder((image - self.mean) / self.std)
        logits = self.head(stages[-1])
        if self.skip is not None:
            fine = self.skip(stages[self.stages[1]])
            logits = self.enlarged(logits, fine) + fine
        second = self.auxiliary(stages[self.stages[0]]) if both else None
        return self.enlarged(logits, image), None if second is None else self.enlarged(
            second, image
        )

    def enlarged(self, maps: Tensor, like: Tensor) -> Tensor:
        size = like.shape[-2:]
        return F.interpolate(maps, size, mode="bilinear", align_corners=self.corners)

    def groups(self, factor: float) -> list[dict[str, Any]]:
        """Of an optimizer; `factor` multiplies the heads' rate."""
        heads = [part for part in (self.head, self.auxiliary, self.skip) if part is not None]
        return [
            {"params": list(self.encoder.parameters())},
            {"params": [p for head in heads for p in head.parameters()], "factor": factor},
        ]


def supervised(logits: Tensor, label: Tensor) -> Tensor:
    return F.cross_entropy(logits, label, ignore_index=IGNORE)


def source_only(network: PlainDeepLab) -> Loop:
    def loop(batch: Batch) -> Tensor:
        loss = supervised(network(batch.source.image)[0], batch.source.label)
        loss.backward()
        return loss

    return loop


def adaptsegnet(network: PlainDeepLab, judges: list[nn.Module], weights: dict[str, float]) -> Loop:
    """Multi-level, vanilla (Tsai et al., CVPR 2018): three passes of each discriminator."""
    fooling = [weights[f"adversarial_{level}"] for level in ("main", "auxiliary")]

    def domain(judge: nn.Module, logits: Tensor, answer: float) -> Tensor:
        scores = judge(F.softmax(logits, dim=1))
        return F.binary_cross_entropy_with_logits(scores, torch.full_like(scores, answer))

    def loop(batch: Batch) -> Tensor:
        for judge in judges:
            judge.requires_grad_(False)
        source = network(batch.source.image, both=True)
        losses = [supervised(logits, batch.source.label) for logits in source]
        (losses[0] + weights["segmentation_auxiliary"] * losses[1]).backward()
        target = network(batch.target.image, both=True)
        both = zip(fooling, judges, target, strict=True)
        sum(weight * domain(judge, logits, 0.0) for weight, judge, logits in both).backward()
        for judge in judges:
            judge.requires_grad_(True)
        for prediction, answer in ((source, 0.0), (target, 1.0)):
            for judge, logits in zip(judges, prediction, strict=True):
                (domain(judge, logits.detach(), answer) / 2).backward()
        return losses[0]

    return loop


def plain_discriminator(judge: nn.Module) -> nn.Module:
    """The same layers and weights in a plain `nn.Sequential`."""
    return nn.Sequential(*copy.deepcopy(judge))


class SelfTraining:
    """DACS (Tranheden et al., WACV 2021), and MIC on it (Hoyer et al., CVPR 2023)."""

    def __init__(self, network: PlainDeepLab, masks: bool, strength: float, block: int) -> None:
        self.network, self.masks = network, masks
        self.teacher = copy.deepcopy(network).requires_grad_(False)
        self.strength, self.block, self.steps = strength, block, 0

    def __call__(self, batch: Batch) -> Tensor:
        loss = supervised(self.network(batch.source.image)[0], batch.source.label)
        loss.backward()
        with torch.no_grad():
            confidence, pseudo = self.teacher(batch.target.image)[0].softmax(1).max(1)
        sure = (confidence >= 0.968).float().mean()
        certain = torch.ones_like(confidence)
        pasted = torch.stack([self.classes(label) for label in batch.source.label])
        image = torch.where(pasted[:, None], batch.source.image, batch.target.image)
        label = torch.where(pasted, batch.source.label, pseudo)
        self.learn(self.augmented(image), label, torch.where(pasted, certain, certain * sure))
        if self.masks:
            image = self.augmented(batch.target.image)
            size = [round(side / self.block) for side in image.shape[-2:]]
            kept = (torch.rand(len(image), 1, *size) > 0.7).float()
            kept = F.interpolate(kept, image.shape[-2:], mode="nearest")
            mean = self.network.get_buffer("mean")
            self.learn(image * kept + mean * (1 - kept), pseudo, certain * sure)
        return loss

    def learn(self, image: Tensor, label: Tensor, weight: Tensor) -> None:
        logits = self.network(image)[0]
        errors = F.cross_entropy(logits, label, ignore_index=IGNORE, reduction="none")
        (errors * weight).mean().backward()

    def classes(self, label: Tensor) -> Tensor:
        """(H, W) bool: half of the classes of an image."""
        there = label.unique()
        drawn = there[torch.randperm(len(there))[: (len(there) + 1) // 2]]
        return (label[None] == drawn[:, None, None]).any(0)

    def augmented(self, images: Tensor) -> Tensor:
        jitters, blurs = (torch.rand(2) > torch.tensor([0.2, 0.5])).tolist()
        result = []
        for image in images:
            if jitters:
                change = (self.strength * (2 * torch.rand(4) - 1)).tolist()
                image = vision.adjust_brightness(image, 1 + change[0])
                image = vision.adjust_contrast(image, 1 + change[1])
                image = vision.adjust_saturation(image, 1 + change[2])
                image = vision.adjust_hue(image, change[3])
            if blurs:
                size = [int(0.1 * side) // 2 * 2 + 1 for side in (image.shape[2], image.shape[1])]
                image = vision.gaussian_blur(image, size, [0.15 + float(torch.rand(()))])
            result.append(image)
        return torch.stack(result)

    def after_step(self) -> None:
        share = min(1 - 1 / (self.steps + 1), 0.99)
        pairs = zip(self.teacher.parameters(), self.network.parameters(), strict=True)
        for own, other in pairs:
            own.data[:] = share * own.data + (1 - share) * other.data
        self.steps += 1
