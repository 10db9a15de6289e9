"""A run folder as training leaves it, with a tiny network that sees colors."""

import copy
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import torch
import yaml

from uda_seg.config import build, conf_folder

CLASSES = ["road", "building", "sky", "car"]
SIZE = [24, 32]


def write_run(folder: Path, seed: int = 0, classes: list[str] = CLASSES) -> Path:
    """The targets' files named in its config do not exist: prediction must not need them."""
    backbone = yaml_of("backbone/tiny.yaml") | {"depth_head": False, "width": 8}
    config = {
        "run_name": f"example_{seed}",
        "target": {
            "_target_": "uda_seg.data.datasets.camvid.CamVid",
            "root": "/nowhere",
            "size": SIZE,
        },
        "backbone": backbone,
        "inference": yaml_of("inference.yaml"),
    }
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    torch.manual_seed(seed)
    network = build(backbone, classes=len(classes))
    torch.nn.init.normal_(network.head.weight, std=20)  # or one class would win everywhere
    state = {f"method.network.{name}": value for name, value in network.state_dict().items()}
    stored = {
        "state_dict": state,
        "hyper_parameters": {"config": config, "classes": classes},
        "global_step": 40,
    }
    torch.save(stored, folder / "checkpoints" / "last.ckpt")
    return folder


def yaml_of(name: str) -> dict[str, Any]:
    return yaml.safe_load((conf_folder() / name).read_text())


def settings(run: Path, wanted: Path | str, folder: Path | str, **changes: Any) -> Any:
    """The config of `predict`, as its command gets it."""
    config = yaml_of("predict.yaml") | {"inference": yaml_of("inference_of_run.yaml")}
    del config["defaults"], config["hydra"]
    config |= {"checkpoint": str(run), "input": str(wanted), "output": str(folder)}
    return copy.deepcopy(config | {"device": "cpu"} | changes)


def picture(seed: int, height: int = 48, width: int = 64) -> np.ndarray:
    """Blocks of random colors."""
    blocks = np.random.default_rng(seed).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3))
    return blocks.repeat(8, 0).repeat(8, 1)[:height, :width].astype(np.uint8)


def write_picture(path: Path, seed: int = 0, height: int = 48, width: int = 64) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    code = cv2.imencode(path.suffix, picture(seed, height, width)[..., ::-1])[1]
    path.write_bytes(code.tobytes())
    return path


def write_clip(
    path: Path,
    times: list[int],
    unit: Fraction = Fraction(1, 25),
    size: tuple[int, int] = (48, 64),
) -> Path:
    """Frame i is `picture(i)`, shown at times[i] · unit seconds; with sound."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", 25, options={"crf": "5"})
        context = stream.codec_context
        context.height, context.width, context.pix_fmt = *size, "yuv444p"
        context.time_base = unit
        sound = container.add_stream("aac", rate=8000)
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(picture(number, *size), format="rgb24")
            frame.pts, frame.time_base = time, unit
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        noise = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), "fltp", "mono")
        noise.rate = 8000
        container.mux(sound.encode(noise))
        container.mux(sound.encode())
    return path


def frames_of(path: Path) -> list[tuple[Fraction, np.ndarray]]:
    """Seconds and pixels, (H, W, 3) RGB or (H, W), of all frames that can be decoded."""
    with av.open(str(path)) as container:
        assert not container.streams.audio
        (stream,) = container.streams.video
        grey = stream.codec_context.pix_fmt == "gray"
        return [
            (frame.pts * stream.time_base, frame.to_ndarray(format="gray" if grey else "rgb24"))
            for frame in container.decode(stream)
        ]


def write_street(folder: Path) -> Path:
    """Three pictures in two folders, two of them wider than the first."""
    for seed, name in enumerate(("a.png", "drive/b.png", "drive/c.png")):
        write_picture(folder / name, seed, 48, 64 + 16 * (seed > 0))
    return folder


def written(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
