"""Files of a network: ONNX for other runtimes, .pt2 for PyTorch without this package."""

import importlib.util
import io
import json
import logging
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch.export import ExportedProgram

from uda_seg.errors import ConfigError
from uda_seg.export.deployed import AXES, INPUT

Network = Callable[[np.ndarray], np.ndarray]
"""(B, 3, H, W) float32 to what is answered."""


class Format(ABC):
    """
    Attributes:
        file: its name.
        packages: what must be installed beside torch.
    """

    file: str
    packages: tuple[str, ...] = ()

    @abstractmethod
    def write(
        self, program: ExportedProgram, path: Path, answer: str, facts: Mapping[str, str]
    ) -> None:
        """
        Args:
            program: the graph.
            path: of the file.
            answer: what the output is called.
            facts: stored in the file.
        """

    @abstractmethod
    def open(self, path: Path) -> Network:
        """The network of a file, on the CPU."""


class Onnx(Format):
    """
    Args:
        opset: of the operators; None for the one that torch takes by itself.
    """

    file = "network.onnx"
    packages = ("onnx", "onnxscript", "onnxruntime")

    def __init__(self, opset: int | None) -> None:
        self.opset = opset

    def write(
        self, program: ExportedProgram, path: Path, answer: str, facts: Mapping[str, str]
    ) -> None:
        for talkative in ("onnxscript", "onnx_ir", "torch.onnx"):
            logging.getLogger(talkative).setLevel(logging.WARNING)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch's own use of onnxscript and copyreg
            made = torch.onnx.export(
                program,
                dynamo=True,
                input_names=[INPUT],
                output_names=[answer],
                opset_version=self.opset,
                dynamic_shapes={INPUT: AXES},
                verbose=False,
            )
        assert made is not None
        for node in made.model.graph:
            node.metadata_props.clear()  # paths of this machine, and much else
        made.model.metadata_props.update(facts)
        made.save(path, external_data=False)

    def open(self, path: Path) -> Network:
        import onnxruntime

        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return lambda image: session.run(None, {INPUT: image})[0]


class TorchExport(Format):
    file = "network.pt2"

    def write(
        self, program: ExportedProgram, path: Path, answer: str, facts: Mapping[str, str]
    ) -> None:
        content = io.BytesIO()  # torch's own writer aborts the process when a disk is full
        torch.export.save(program, content, extra_files={"facts.json": json.dumps(dict(facts))})
        path.write_bytes(content.getvalue())

    def open(self, path: Path) -> Network:
        network = torch.export.load(path).module()

        def answer(image: np.ndarray) -> np.ndarray:
            with torch.no_grad():
                return network(torch.from_numpy(image)).numpy()

        return answer


def make_formats(names: Sequence[str], opset: int | None) -> dict[str, Format]:
    """
    Raises:
        ConfigError: nothing is chosen, or a package is missing.
    """
    known: dict[str, Format] = {"onnx": Onnx(opset), "torch_export": TorchExport()}
    if not names:
        raise ConfigError(f"formats: is empty; choose from {', '.join(known)}")
    for name in names:
        missing = [p for p in known[name].packages if importlib.util.find_spec(p) is None]
        if missing:
            others = [other for other in known if not known[other].packages]
            raise ConfigError(
                f"formats: {name} needs {', '.join(missing)}, which is not installed: "
                'pip install -c constraints.txt -e ".[export]" in a checkout, pip install '
                f'"uda-seg[export]" elsewhere; or formats=[{",".join(others)}]'
            )
    return {name: known[name] for name in dict.fromkeys(names)}
