"""From a loaded network to files that were checked."""

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from uda_seg.errors import ConfigError, DataError
from uda_seg.export import agreement
from uda_seg.export.deployed import trace
from uda_seg.export.formats import Format
from uda_seg.export.model_card import Written
from uda_seg.networks.base import SegmentationNetwork

log = logging.getLogger(__name__)


def write(
    network: SegmentationNetwork,
    name: str,
    folder: Path,
    formats: Mapping[str, Format],
    answer: str,
    facts: Mapping[str, str],
    sizes: Sequence[Sequence[int]],
    tolerance: float,
) -> list[Written]:
    """
    Args:
        network: in evaluation mode, on the CPU.
        name: of the backbone.
        folder: to write into.
        formats: by name.
        answer: "logits" or "classes".
        facts: stored in the files.
        sizes: (height, width) of the images they are checked on.
        tolerance: of the check.

    Raises:
        CheckError: a file does not answer as the network does.
    """
    log.info("%s: following its graph", name)
    program = trace(network, answer, name)
    written = []
    for key, format in formats.items():
        path = folder / format.file
        log.info("%s: writing and checking it", path.name)
        with saying_why(key, formats):
            format.write(program, path, answer, facts)
        found = agreement.compare(network, format.open(path), sizes, tolerance)
        agreement.check(key, found, tolerance)
        lines = [_line(one) for one in found]
        for line in lines:
            log.info("%s: %s", path.name, line)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        size = path.stat().st_size
        written.append(Written(path.name, key, _version(path), size, digest, lines))
    return written


@contextmanager
def saying_why(key: str, formats: Mapping[str, Format]) -> Iterator[None]:
    """
    Raises:
        ConfigError: the format cannot hold the network.
        DataError: the disk cannot hold the file.
    """
    try:
        yield
    except OSError as error:
        raise DataError(f"output: cannot be written ({error.strerror})") from error
    except Exception as error:  # exporters let through whatever they stumble over
        others = ",".join(name for name in formats if name != key)
        instead = f"; formats=[{others}] leaves it out" if others else ""
        raise ConfigError(
            f"formats: {key} cannot hold this network{instead}. The exporter says: "
            f"{type(error).__name__}: {error}"
        ) from error


def _line(one: agreement.Agreement) -> str:
    batch, _, height, width = one.shape
    images = "1 image" if batch == 1 else f"{batch} images"
    far = "" if one.difference is None else f"logits differ by {one.difference:.1e} at most, "
    undecided = f" ({one.undecided:.3%} were ties)" if one.undecided else ""
    return (
        f"{images} of {height}x{width}: {far}{one.same:.3%} of the pixels have the same class"
        f"{undecided}, {one.classes} classes occur"
    )


def _version(path: Path) -> str:
    if path.suffix != ".onnx":
        return f"torch.export, torch {torch.__version__.partition('+')[0]}"
    import onnx

    model = onnx.load(path, load_external_data=False)
    opset = next(one.version for one in model.opset_import if not one.domain)
    return f"ONNX, opset {opset}, IR {model.ir_version}"


def facts(classes: Sequence[str], run_name: str, step: int) -> dict[str, str]:
    """What a file says about itself, beside the card."""
    return {"classes": json.dumps(list(classes)), "run_name": run_name, "step": str(step)}
