import cv2
import numpy as np
import pytest

from uda_seg.images import pictures

CLASSES = ["road", "car", "bicyclist"]
BICYCLIST = (230, 145, 103)


def test_known_classes_have_the_colors_of_cityscapes():
    helpers = pytest.importorskip("cityscapesscripts.helpers.labels")
    official = {
        label.name: label.color for label in helpers.labels if label.trainId not in (255, -1)
    }
    assert official == pictures.CITYSCAPES


def test_label_becomes_colors_and_ignored_is_black():
    label = np.array([[0, 1], [2, 255]], np.uint8)
    picture = pictures.color(label, CLASSES)
    assert picture.dtype == np.uint8
    assert picture[0, 0].tolist() == [128, 64, 128]
    assert picture[0, 1].tolist() == [0, 0, 142]
    assert picture[1, 0].tolist() == list(pictures.color_of("bicyclist"))
    assert picture[1, 1].tolist() == [0, 0, 0]


def test_other_names_have_a_color_that_never_changes():
    assert pictures.color_of("bicyclist") == BICYCLIST
    assert pictures.color_of("bicyclist") != pictures.color_of("tunnel")


def test_overlay_mixes_classes_and_leaves_ignored_bare():
    image = np.full((1, 2, 3), 100, np.uint8)
    picture = pictures.overlay(image, np.array([[0, 255]], np.uint8), CLASSES, opacity=0.5)
    assert picture[0, 0].tolist() == [114, 82, 114]
    assert picture[0, 1].tolist() == [100, 100, 100]


def test_heat_runs_from_violet_to_yellow():
    picture = pictures.heat(np.array([[0.0, 1.0, 2.0, np.nan]]))
    assert picture[0, 0, 2] > picture[0, 0, 1]  # blue over green
    assert picture[0, 1, 0] > 200 > picture[0, 1, 2]  # red, hardly any blue
    assert (picture[0, 2] == picture[0, 1]).all()
    assert picture[0, 3].tolist() == [128, 128, 128]


def test_grid_places_pictures_and_scales_by_the_nearest_pixel():
    red = np.zeros((40, 60, 3), np.uint8)
    red[..., 0] = 255
    small = np.array([[[0, 0, 255], [0, 255, 0]]], np.uint8)
    canvas = pictures.grid([[red, small], [red]], [])
    assert canvas.shape == (84, 124, 3)
    assert (canvas[:40, :60] == red).all()
    assert canvas[20, 64].tolist() == [0, 0, 255]
    assert canvas[20, 123].tolist() == [0, 255, 0]
    assert (canvas[44:, 64:] == 255).all()
    captioned = pictures.grid([[red, small], [red]], ["image", "a rather long caption"])
    assert captioned.shape == (84 + pictures.CAPTION, 124, 3)
    assert (captioned[: pictures.CAPTION] < 128).any()
    assert (captioned[pictures.CAPTION :] == canvas).all()


def test_saved_picture_is_read_back_as_rgb(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8)
    pictures.save(tmp_path / "new" / "one.png", picture)
    code = np.fromfile(tmp_path / "new" / "one.png", np.uint8)
    back = cv2.cvtColor(cv2.imdecode(code, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    assert (back == picture).all()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["one.png"]
