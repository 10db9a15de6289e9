"""What `predict` takes for a frame of a video beyond the network itself.

    python benchmarks/prediction.py [--video FILE] [--frames 8] [--rounds 3] [--size 512 1024]

All ways take turns over the same frames: the network alone (a random one, from images in memory to
logits), `predict` with its threads, `predict` in one thread, and the loop that most would write:
OpenCV reads, torch answers and up-samples, OpenCV mixes and writes MPEG-4. Processor time is that
of all threads; with a second core that is free, frames a second follow from the waiting time.
Without `--video`, a drawn drive of 1280x720.

2026-11-26, --frames 8 --rounds 3, the drawn drive, one thread of an Intel Xeon with two cores and
nothing else on it, torch 2.15.0; processor time:

                                   ms a frame  network's share  frames/s, of the network's
    network alone                         227             1.00         1.00
    predict, overlay                      299             0.76         0.82
    predict, all four kinds               401             0.57         0.68
    predict, all four, workers=0          397             0.59         0.64
    predict, overlay, batch_size=4        545             0.44         0.45
    usual loop, overlay                   432             0.53         0.53

    decode 5.3, resize 2.6, classes 23, entropy 25; draw overlay 6.8, color 3.6, ids 1.8, entropy
    7.2; the rest is encoding, some 30 a film.

Before logits were enlarged by rows, on a busy machine: 244 (which enlarged them once), 351, 434,
415, 625 and 448 ms; classes 39.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import measure
import numpy as np
import torch
import torch.nn.functional as F

from uda_seg.cli.command_line import check
from uda_seg.config import build, plain
from uda_seg.data.datasets.classes import SPACES
from uda_seg.data.toytown import scene
from uda_seg.evaluation.inference import Inference
from uda_seg.images import pictures
from uda_seg.prediction.inputs import Input
from uda_seg.prediction.look import Look
from uda_seg.prediction.movie import Clip
from uda_seg.prediction.predictor import Answer, Predictor
from uda_seg.prediction.store import Store
from uda_seg.prediction.work import Work
from uda_seg.runs.memory import keep_freed_memory

CLASSES = SPACES["cityscapes_19"]
ALL = ("overlay", "color", "ids", "entropy")


def shorten(path: Path | None, frames: int, folder: Path) -> Path:
    """The first frames of a video, or of a drawn drive, as H.264."""
    if path is None:
        images = [scene(0, 0, "toytown_camera", (720, 1280), float(n)).image for n in range(frames)]
    else:
        clip = Clip(path, 1)
        images = [clip.frame(number) for number in range(min(frames, len(clip)))]
    short = folder / "short.mp4"
    with av.open(str(short), "w") as container:
        stream = container.add_stream("libx264", Fraction(25))
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        container.mux(stream.encode())
    return short


def network(name: str) -> torch.nn.Module:
    config = check("train", [f"backbone={name}", "backbone.pretrained=none"]).config
    made: torch.nn.Module = build(plain(config.backbone), classes=len(CLASSES)).eval()
    return made


def predict(
    predictor: Predictor, video: Path, kinds: tuple[str, ...], threads: int, batch: int = 1
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        look = Look(kinds, [CLASSES], [""], np.arange(256, dtype=np.uint8), 0.5, True)
        store = Store(Path(folder) / "found", {}, {}, overwrite=False)
        work = Work([predictor], look, store, batch, threads, "libx264", 20)
        work.video(Input(video, "short", True), Clip(video, 1), lambda _: None)


@torch.no_grad()
def usual(predictor: Predictor, video: Path) -> None:
    """Overlays alone."""
    reader, colors = cv2.VideoCapture(str(video)), pictures.palette(CLASSES)
    height, width = (
        int(reader.get(key)) for key in (cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_WIDTH)
    )
    with tempfile.TemporaryDirectory() as folder:
        code = cv2.VideoWriter.fourcc(*"mp4v")
        writer = cv2.VideoWriter(f"{folder}/found.mp4", code, 25, (width, height))
        while True:
            there, frame = reader.read()
            if not there:
                break
            image = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
            small = cv2.resize(image, predictor.size[::-1]) if predictor.size else image
            batch = torch.from_numpy(small).permute(2, 0, 1)[None].float() / 255
            logits = predictor.network(batch, domain="target").logits
            enlarged = F.interpolate(logits, (height, width), mode="bilinear")
            colored = colors[enlarged.argmax(1)[0].numpy()][..., ::-1]
            writer.write(cv2.addWeighted(frame, 0.5, np.ascontiguousarray(colored), 0.5, 0))
        writer.release()
    reader.release()


def parts(predictor: Predictor, video: Path, frames: int) -> list[list[object]]:
    """Median milliseconds of a frame's stations, one after the other."""
    clip = Clip(video, 1)
    image = clip.frame(0)
    size = (image.shape[0], image.shape[1])
    prepared = predictor.prepare(image)[None]
    ids = predictor(prepared, [size], True)[0].ids
    entropy = np.random.default_rng(0).random(size, np.float32)
    look = Look(ALL, [CLASSES], [""], np.arange(256, dtype=np.uint8), 0.5, True)
    drawing = {
        f"draw {kind}": lambda k=kind: Look((k,), [CLASSES], [""], look.id_table, 0.5, True).draw(
            image, [Answer(ids, entropy)], "video"
        )
        for kind in ALL
    }
    numbers = iter(range(10**9))
    stations: dict[str, Callable[[], object]] = {
        "decode": lambda: clip.frame(next(numbers) % frames),
        "resize": lambda: predictor.prepare(image),
        "network": lambda: forward(predictor, prepared),
        "network, classes, entropy": lambda: predictor(prepared, [size], True),
        "network, classes": lambda: predictor(prepared, [size], False),
        **drawing,
    }
    found = measure.take_turns(stations, frames)
    return [[name, 1000 * statistics.median(values)] for name, values in found.items()]


@torch.no_grad()
def forward(predictor: Predictor, images: torch.Tensor) -> None:
    predictor.inference.each(predictor.network, images.float() / 255)


def both_clocks() -> complex:
    """Processor's seconds, and those waited as the imaginary part."""
    return complex(time.process_time(), time.perf_counter())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--video", type=Path)
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, nargs=2, default=(512, 1024))
    parser.add_argument("--backbone", default="small")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    keep_freed_memory()  # as the command line does
    with tempfile.TemporaryDirectory() as folder:
        video = shorten(arguments.video, arguments.frames, Path(folder))
        clip = Clip(video, 1)
        inference = Inference("whole", None, None, False)
        predictor = Predictor(
            network(arguments.backbone), CLASSES, inference, arguments.size, "32-true"
        )
        prepared = [predictor.prepare(clip.frame(number))[None] for number in range(len(clip))]
        ways: dict[str, Callable[[], object]] = {
            "network alone": lambda: [forward(predictor, image) for image in prepared],
            "predict, overlay": lambda: predict(predictor, video, ("overlay",), 2),
            "predict, all four kinds": lambda: predict(predictor, video, ALL, 2),
            "predict, all four, workers=0": lambda: predict(predictor, video, ALL, 0),
            "predict, overlay, batch_size=4": lambda: predict(predictor, video, ("overlay",), 2, 4),
            "usual loop, overlay": lambda: usual(predictor, video),
        }
        found = measure.take_turns(ways, arguments.rounds, clock=both_clocks)  # type: ignore[arg-type]
        print(measure.machine())
        print(f"{len(clip)} frames of {clip.size[1]}x{clip.size[0]}, {arguments.backbone}")
        clocks = {name: ([v.real for v in values], [v.imag for v in values])  # type: ignore[attr-defined]
                  for name, values in found.items()}  # fmt: skip
        alone = clocks["network alone"]
        rows = [
            [
                name, 1000 * statistics.median(processor) / len(clip),
                measure.ratio(alone[0], processor), len(clip) / statistics.median(waited),
                measure.ratio(alone[1], waited),
            ]
            for name, (processor, waited) in clocks.items()
        ]  # fmt: skip
        header = ["way", "processor ms a frame", "network's share", "frames/s", "of the network's"]
        print(measure.table(header, rows))
        print(measure.table(["station", "processor ms"], parts(predictor, video, len(clip))))


if __name__ == "__main__":
    main()
