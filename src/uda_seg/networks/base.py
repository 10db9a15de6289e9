"""What all segmentation networks share: normalisation, batch-norm policy, groups of weights."""

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from uda_seg.errors import ConfigError
from uda_seg.networks import batch_norm as norms
from uda_seg.networks.cpu_layers import ByDevice
from uda_seg.networks.encoder_groups import encoder_groups, norm_weights
from uda_seg.networks.prediction import Prediction


class SegmentationNetwork(ByDevice):
    """RGB images in [0, 1] in, `Prediction` out.

    A subclass builds its layers, then calls `set_batch_norm`; it implements `predict` and
    `heads`. Everything that is no head counts as encoder.
    """

    mean: Tensor
    std: Tensor
    feature_channels: int
    """Channels of `Prediction.features`."""
    smallest_side: int = 32
    """Of an image, that an exported network promises to take: smaller ones have maps of a single
    pixel, for which graphs differ."""
    channels_last: bool | str = False
    load_report: str = "no pretrained weights"
    """How the pretrained weights fitted."""

    def __init__(
        self, classes: int, mean: Sequence[float], std: Sequence[float], head_factor: float
    ) -> None:
        super().__init__()
        if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise ConfigError(
                f"mean={list(mean)} and std={list(std)}: need three numbers each, for R, G, B, "
                "and every std above 0"
            )
        self.classes, self.head_factor = classes, head_factor
        self.class_names: list[str] = []
        """Of the experiment, once it is known."""
        self.batch_norm = "train"
        self.encoder_updates: int | str = 1
        """How often a step updates the encoder's weights: once, or as "authors" do it."""
        self.norm_decay = True
        """Whether weight decay takes the encoder's norm layers too."""
        self.layer_decay = 1.0
        """By which the rate falls from each of the encoder's blocks to the one before it."""
        self.register_buffer("mean", torch.tensor(list(mean)).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(list(std)).view(1, 3, 1, 1))

    def forward(self, image: Tensor, domain: str = "source") -> Prediction:
        """`image`: (B, 3, H, W) RGB in [0, 1]; `domain`: whose images these are, `source`,
        `target` or `neither`, for the batch-norm policy.
        """
        with norms.statistics(self, self.batch_norm, domain):
            return self.predict((image - self.mean) / self.std)

    @abstractmethod
    def predict(self, image: Tensor) -> Prediction:
        """`image`: (B, 3, H, W), normalised."""

    def encode(self, image: Tensor, domain: str = "source") -> Tensor:
        """`Prediction.features` alone: (B, D, h, w) of (B, 3, H, W) RGB in [0, 1]."""
        with norms.statistics(self, self.batch_norm, domain):
            return self.deepest((image - self.mean) / self.std)

    def deepest(self, image: Tensor) -> Tensor:
        """The features of `image`, (B, 3, H, W), normalised; overridden where heads cost much."""
        return self.predict(image).features

    @abstractmethod
    def heads(self) -> list[nn.Module]:
        """The modules that start from scratch and learn at `head_factor` times the rate."""

    def set_batch_norm(self, policy: str) -> None:
        """Switches to one of `batch_norm.POLICIES`; ConfigError for any other name."""
        norms.check_policy(policy)
        self.batch_norm = policy
        norms.fix_affine(self, policy)
        self.train(self.training)

    def train(self, mode: bool = True) -> "SegmentationNetwork":
        super().train(mode)
        norms.fix_mode(self, self.batch_norm)
        return self

    def parameter_groups(self) -> list[dict]:
        """Groups for an optimizer, the heads' last; `factor` multiplies its learning rate.

        Weights without gradients (frozen batch norm) are in as well: optimizers skip them, and
        checkpoints keep their shape when the policy changes.
        """
        heads = [weight for head in self.heads() for weight in head.parameters()]
        known = set(heads)
        encoder = {name: w for name, w in self.named_parameters() if w not in known}
        undecayed = set() if self.norm_decay else norm_weights(self)
        return [
            *encoder_groups(encoder, undecayed, self.layer_decay),
            {"name": "heads", "params": heads, "factor": float(self.head_factor)},
        ]

    def repeated(self) -> dict[nn.Parameter, int]:
        """How often a step updates each weight that it does not update just once."""
        encoder = getattr(self, "encoder", None)
        if self.encoder_updates == 1 or not hasattr(encoder, "times_listed"):
            return {}
        return {weight: times for weight, times in encoder.times_listed().items() if times > 1}
