"""How many 1024x512 pictures a second one core divides into superpixels, and how well.

    python benchmarks/superpixels.py [--images 4] [--camvid FOLDER] [--size 512 1024] [--rounds 3]

Drawn streets (ToyTown's camera) unless a folder in CamVid's 11-class form is given, of whose
validation split evenly spread images are taken, resized. Every way gets about one superpixel for
each 683 pixels: 768 at 1024x512. All take turns; the table shows medians of the processor's time.
Ways of packages that are not installed are left out; scikit-image's are what the project uses.

    recall     share of the labels' boundary pixels with a superpixel's boundary within 2 pixels
    density    share of all pixels that lie on a superpixel's boundary: recall can be bought with it
    accuracy   achievable: of pixels with a label, when each superpixel takes its commonest class

2026-11-21, --images 12 --rounds 1 --camvid, one core of an AMD EPYC (Zen 3) that others used too,
scikit-image 0.26.0, opencv-contrib-python-headless 5.0.0.93, SimpleITK 2.5.7, fast-slic 0.4.0:

                                            CamVid at 1024x512          own size    drawn
                                  images/s  recall  density  accuracy   accuracy    accuracy
    ours                          5.3       70.6    10.7     95.5       93.3        96.7
    ours, 10 iterations           2.4       70.9    10.5     95.7       93.4        97.1
    ours, 10, at half size        9.0       68.3    10.0     95.7       93.8        96.9
    scikit-image as it comes      2.0       62.9     9.7     94.4       90.7        96.4
    scikit-image, SLICO           1.9       52.2     8.6     94.9       92.2        95.7
    opencv-contrib, 5 iterations  7.2       71.6    12.2     95.2       91.6        97.0
    SimpleITK, 3 iterations       6.6       71.8    10.7     95.5       92.9        96.8
    fast-slic, AVX2               34.4      66.5    11.0     95.2       91.8        97.2

2026-11-26, --images 1 --rounds 1, drawn, one thread on a busy Intel Xeon of two cores: ours 191 ms
an image (5.2 a second), scikit-image as it comes 478 (2.1).

Why not those that are faster: opencv-contrib's wheel and headless OpenCV's, which albumentations
requires, put different files under one name; fast-slic's last release is of 2019, without wheels;
SimpleITK is as good and a quarter faster, but takes 274 MB where scikit-image takes 30. At half
size it is faster and by these measures no worse; they forgive two pixels, though, and an image of
128x256 would be left with ten pixels a superpixel.
"""

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from uda_seg.batch import IGNORE
from uda_seg.data.cache.slic import SLIC, lab

Way = Callable[[np.ndarray], np.ndarray]
PIXELS = 1024 * 512 / 768
"""Of a superpixel."""
TOLERANCE = 2
"""Pixels, to all sides."""


def ways(count: int) -> dict[str, Way]:
    """Image (H, W, 3) uint8 to map (H, W) of about `count` ids."""
    found: dict[str, Way] = {"ours": SLIC(count, 10.0, 0.5, 4)}
    for iterations in (10, 5, 3):
        found[f"ours, {iterations} iterations"] = SLIC(count, 10.0, 0.5, iterations)
    for compactness in (5.0, 15.0, 20.0):
        found[f"ours, compactness {compactness:.0f}"] = SLIC(count, compactness, 0.5, 4)
    for smoothing in (0.0, 1.0):
        found[f"ours, smoothing {smoothing}"] = SLIC(count, 10.0, smoothing, 4)
    found["ours, 10 iterations at half size"] = partial(at_half_size, SLIC(count, 10.0, 0.5, 10))
    found |= scikit_image(count) | opencv_contrib(count) | simple_itk(count) | fast_slic(count)
    return found


def at_half_size(way: Way, image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    small = cv2.resize(image, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    return cv2.resize(way(small), (width, height), interpolation=cv2.INTER_NEAREST)


def scikit_image(count: int) -> dict[str, Way]:
    """As most would call it."""
    from skimage.segmentation import slic

    plain = partial(slic, n_segments=count, compactness=10, start_label=0)
    return {
        "scikit-image, 10 iterations": plain,
        "scikit-image, SLICO": partial(plain, slic_zero=True),
    }


def opencv_contrib(count: int) -> dict[str, Way]:
    if not hasattr(cv2, "ximgproc"):
        return {}

    def slic(image: np.ndarray, algorithm: int, iterations: int) -> np.ndarray:
        colors = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
        way = cv2.ximgproc.createSuperpixelSLIC(colors, algorithm, round(PIXELS**0.5), 10.0)
        way.iterate(iterations)
        way.enforceLabelConnectivity(25)
        return way.getLabels()

    def seeds(image: np.ndarray) -> np.ndarray:
        height, width = image.shape[:2]
        way = cv2.ximgproc.createSuperpixelSEEDS(width, height, 3, count, 4, 2, 5, False)
        way.iterate(cv2.cvtColor(image, cv2.COLOR_RGB2LAB), 4)
        return way.getLabels()

    return {
        "opencv-contrib, SLIC 10": partial(slic, algorithm=cv2.ximgproc.SLIC, iterations=10),
        "opencv-contrib, SLIC 5": partial(slic, algorithm=cv2.ximgproc.SLIC, iterations=5),
        "opencv-contrib, SLICO 10": partial(slic, algorithm=cv2.ximgproc.SLICO, iterations=10),
        "opencv-contrib, SEEDS 4": seeds,
    }


def simple_itk(count: int) -> dict[str, Way]:
    try:
        import SimpleITK as itk  # noqa: N813
    except ImportError:
        return {}

    def slic(image: np.ndarray, iterations: int) -> np.ndarray:
        way = itk.SLICImageFilter()
        way.SetSuperGridSize([round(PIXELS**0.5)] * 2)
        way.SetMaximumNumberOfIterations(iterations)
        way.SetSpatialProximityWeight(10.0)
        way.SetNumberOfThreads(1)
        return itk.GetArrayFromImage(way.Execute(itk.GetImageFromArray(lab(image), isVector=True)))

    return {f"SimpleITK, {n} iterations": partial(slic, iterations=n) for n in (10, 5, 3)}


def fast_slic(count: int) -> dict[str, Way]:
    try:
        from fast_slic import Slic
        from fast_slic.avx2 import SlicAvx2
    except ImportError:
        return {}

    def slic(image: np.ndarray, way: type) -> np.ndarray:
        colors = np.ascontiguousarray(cv2.cvtColor(image, cv2.COLOR_RGB2LAB))
        return way(num_components=count, compactness=10).iterate(colors)

    return {"fast-slic": partial(slic, way=Slic), "fast-slic, AVX2": partial(slic, way=SlicAvx2)}


def drawn(count: int, size: tuple[int, int]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    from uda_seg.data.toytown import scene

    for number in range(count):
        picture = scene(0, number, "toytown_camera", size)
        yield picture.image, picture.label


def camvid(root: Path, count: int, size: tuple[int, int]) -> Iterator[tuple[np.ndarray, ...]]:
    from uda_seg.data.datasets.camvid import CLASSES, CamVid
    from uda_seg.images.scaling import resize_image, resize_mask

    dataset = CamVid(str(root), "val")
    for number in range(count):
        sample = dataset.read(number * len(dataset) // count, {"image", "label"})
        label = np.where(np.isin(sample.label, list(CLASSES)), sample.label, IGNORE)
        yield resize_image(sample.image, size), resize_mask(label.astype(np.uint8), size)


def edges(ids: np.ndarray) -> np.ndarray:
    """(H, W) bool: pixels whose right or lower neighbor has another id."""
    found = np.zeros(ids.shape, bool)
    found[:, :-1] |= ids[:, 1:] != ids[:, :-1]
    found[:-1] |= ids[1:] != ids[:-1]
    return found


def recall(found: np.ndarray, label: np.ndarray) -> float:
    near = cv2.dilate(found.astype(np.uint8), np.ones([2 * TOLERANCE + 1] * 2, np.uint8))
    return float(near[edges(label)].mean())


def achievable(ids: np.ndarray, label: np.ndarray) -> float:
    known = label != IGNORE
    table = np.zeros((int(ids.max()) + 1, 256), np.int64)
    np.add.at(table, (ids[known], label[known]), 1)
    return float(table.max(1).sum() / known.sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--camvid", type=Path, help="a folder with val/ and valannot/")
    parser.add_argument("--size", type=int, nargs=2, default=(512, 1024))
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    size = tuple(arguments.size)
    given = partial(camvid, arguments.camvid) if arguments.camvid else drawn
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for image, label in list(given(arguments.images, size)):
        for turn in range(arguments.rounds + 1):
            for name, way in ways(round(size[0] * size[1] / PIXELS)).items():
                start = time.process_time()
                ids = np.asarray(way(image))
                seconds = time.process_time() - start
                if turn:  # the first warms up
                    found[name]["seconds"].append(seconds)
                    continue
                border = edges(ids)
                found[name]["count"].append(len(np.unique(ids)))
                found[name]["recall"].append(recall(border, label))
                found[name]["density"].append(float(border.mean()))
                found[name]["accuracy"].append(achievable(ids, label))
    show(found)


def show(found: dict[str, dict[str, list[float]]]) -> None:
    print("| way | ms | images/s | superpixels | recall | density | accuracy |")
    print("|---|---|---|---|---|---|---|")
    for name, values in found.items():
        median = statistics.median(values["seconds"])
        mean = {key: statistics.mean(values[key]) for key in ("recall", "density", "accuracy")}
        shares = " | ".join(f"{100 * share:.1f}" for share in mean.values())
        count = statistics.mean(values["count"])
        print(f"| {name} | {1000 * median:.0f} | {1 / median:.1f} | {count:.0f} | {shares} |")


if __name__ == "__main__":
    main()
