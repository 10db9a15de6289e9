"""`uda_seg.load`: the door for notebooks and other people's code."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_run import CLASSES, SIZE, picture, settings, write_run

import uda_seg
from uda_seg.data.files.reading import read_ids
from uda_seg.errors import ConfigError, DataError, WeightsError
from uda_seg.runs.trained import choose_device


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    return write_run(tmp_path / "RUN")


def test_a_file_a_pil_image_and_an_array_have_one_mask(trained: Path, tmp_path: Path) -> None:
    network = uda_seg.load(trained, device="cpu")
    image = picture(3)
    Image.fromarray(image).save(tmp_path / "street.png")
    mask = network.predict(image)
    assert mask.shape == image.shape[:2]
    assert mask.dtype == np.uint8
    assert network.classes == CLASSES
    assert len(set(mask.flat)) > 1
    assert set(mask.flat) <= set(range(len(CLASSES)))
    for same in (Image.fromarray(image), tmp_path / "street.png", str(tmp_path / "street.png")):
        assert np.array_equal(network.predict(same), mask)


def test_it_answers_as_predict_does(trained: Path, tmp_path: Path) -> None:
    from uda_seg.commands.predict import run

    Image.fromarray(picture(3)).save(tmp_path / "street.png")
    run(settings(trained, tmp_path / "street.png", tmp_path / "out", write=["ids"]), tmp_path)
    mask = uda_seg.load(trained, device="cpu").predict(tmp_path / "street.png")
    assert np.array_equal(read_ids(tmp_path / "out" / "ids" / "street.png"), mask)


def test_a_turned_photo_stands_upright(trained: Path, tmp_path: Path) -> None:
    network, image = uda_seg.load(trained, device="cpu"), Image.fromarray(picture(1))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "photo.png", exif=exif)
    assert network.predict(tmp_path / "photo.png").shape == image.size
    with Image.open(tmp_path / "photo.png") as photo:
        assert network.predict(photo).shape == image.size


def test_the_only_run_in_a_folder_is_taken_and_one_of_several_is_not(tmp_path: Path) -> None:
    write_run(tmp_path / "RUN" / "2026-01-01")
    assert uda_seg.load(tmp_path / "RUN", device="cpu").classes == CLASSES
    shutil.copytree(tmp_path / "RUN" / "2026-01-01", tmp_path / "RUN" / "2026-01-02")
    with pytest.raises(ConfigError, match="holds 2 runs; name one of them: 2026-01-01, 2026-01-02"):
        uda_seg.load(tmp_path / "RUN", device="cpu")


def test_the_size_that_the_network_sees_can_be_chosen(trained: Path) -> None:
    assert uda_seg.load(trained, "cpu").size == tuple(SIZE)
    assert uda_seg.load(trained, "cpu", size=(16, 32)).size == (16, 32)
    assert uda_seg.load(trained, "cpu", size="own").size is None
    with pytest.raises(ConfigError, match="size=large: must be height, width"):
        uda_seg.load(trained, "cpu", size="large")


def test_what_cannot_be_used_is_said(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="path=.*nowhere.* is not there"):
        uda_seg.load(tmp_path / "nowhere")
    (tmp_path / "text.ckpt").write_text("hello")
    with pytest.raises(WeightsError, match="is a text file"):
        uda_seg.load(tmp_path / "text.ckpt")
    network = uda_seg.load(trained, "cpu")
    with pytest.raises(DataError, match=r"shape \(4, 4\) and type float64; give \(H, W, 3\)"):
        network.predict(np.zeros((4, 4)))


def test_an_absent_device_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.mps, "is_available", lambda: False)
    assert choose_device("auto").type == "cpu"
    with pytest.raises(ConfigError, match="device=cuda: is not there; choose auto, or one of cpu"):
        choose_device("cuda")
