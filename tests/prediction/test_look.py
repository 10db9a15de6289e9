"""From answers to pictures."""

import numpy as np
import pytest

from uda_seg.data.datasets.classes import CITYSCAPES, CITYSCAPES_IDS
from uda_seg.errors import ConfigError
from uda_seg.images import pictures
from uda_seg.images.legend import LINE
from uda_seg.prediction.look import GAP, Look, id_table, legend_of
from uda_seg.prediction.predictor import Answer

CLASSES = ["road", "sky", "car"]
ALL = ["overlay", "color", "ids", "entropy", "comparison"]


def look(**changes: object) -> Look:
    usual: dict = {
        "kinds": ALL, "classes": [CLASSES, ["sky", "bicyclist"]], "captions": ["after", "before"],
        "id_table": id_table(CLASSES, "run"), "opacity": 0.5, "legend": True,
    }  # fmt: skip
    return Look(**(usual | changes))


def answers(height: int, width: int) -> list[Answer]:
    ids = np.zeros((height, width), np.uint8)
    ids[:, width // 2 :] = 2
    entropy = np.zeros((height, width), np.float32)
    entropy[: height // 2] = 1
    return [Answer(ids, entropy), Answer(np.ones_like(ids), None)]


def test_every_kind_shows_what_it_should() -> None:
    image = np.full((200, 300, 3), 100, np.uint8)
    drawn = look().draw(image, answers(200, 300), "picture")
    assert list(drawn) == ALL
    np.testing.assert_array_equal(drawn["ids"], answers(200, 300)[0].ids)
    assert tuple(drawn["color"][0, 0]) == pictures.CITYSCAPES["road"]
    assert tuple(drawn["color"][0, -1]) == pictures.CITYSCAPES["car"]
    assert tuple(drawn["overlay"][0, 0]) == (114, 82, 114)  # half of 128, 64, 128, half of 100
    assert drawn["entropy"][0, 0, 0] > 240  # yellow
    assert drawn["entropy"][-1, 0, 0] < 80  # violet
    assert drawn["overlay"].shape[0] > 200
    assert drawn["overlay"].shape[1] == 300
    np.testing.assert_array_equal(drawn["overlay"][200:], legend_of(CLASSES, 300))


def test_before_is_left_of_after_in_the_colors_of_its_own_classes() -> None:
    image = np.zeros((100, 300, 3), np.uint8)
    place = LINE + 50
    for media, columns in (("picture", 3), ("video", 2)):
        drawn = look(opacity=1.0).draw(image, answers(100, 300), media)["comparison"]
        assert drawn.shape[1] == columns * 300 + (columns - 1) * GAP
        before, after = drawn[place, -400], drawn[place, -10]
        assert tuple(before) == pictures.color_of("bicyclist")
        assert tuple(after) == pictures.CITYSCAPES["car"]
    assert drawn.shape[0] > LINE + 100  # its legend is below


def test_a_videos_frames_keep_their_size() -> None:
    for height, covered in ((400, True), (40, False)):
        image = np.zeros((height, 300, 3), np.uint8)
        with_legend = look(opacity=0.0).draw(image, answers(height, 300), "video")["overlay"]
        assert with_legend.shape == image.shape
        assert bool(with_legend[-10:].any()) is covered
        swatches = (with_legend == pictures.CITYSCAPES["sky"]).all(2).sum()
        assert swatches == (14 * 14 if covered else 0)  # as bright as below a picture
        bare = look(opacity=0.0, legend=False).draw(image, answers(height, 300), "video")
        np.testing.assert_array_equal(bare["overlay"], image)


def test_letters_grow_with_large_pictures() -> None:
    small, large = legend_of(CITYSCAPES, 1280), legend_of(CITYSCAPES, 2560)
    assert large.shape[0] == pytest.approx(2 * small.shape[0], abs=2)
    swatch = np.array(pictures.CITYSCAPES["person"])
    letters = look().draw(np.zeros((64, 2560, 3), np.uint8), answers(64, 2560), "video")
    assert letters["comparison"].shape[0] > 64 + 2 * LINE  # the caption's line is twice as high
    count = [int((strip == swatch).all(2).sum()) for strip in (small, large)]
    assert count == [14 * 14, 28 * 28]


def test_ids_are_the_runs_or_cityscapes_own() -> None:
    table = id_table(CLASSES, "cityscapes")
    assert [CITYSCAPES_IDS[table[place]] for place in range(3)] == CLASSES
    assert table[3] == 255
    drawn = look(id_table=table, kinds=["ids"]).draw(
        np.zeros((4, 6, 3), np.uint8), answers(4, 6), "picture"
    )
    assert np.unique(drawn["ids"]).tolist() == [7, 26]
    with pytest.raises(ConfigError, match=r"ids=cityscapes: Cityscapes has no bicyclist, which"):
        id_table(["road", "bicyclist"], "cityscapes")


def test_captions_stand_above_their_own_pictures() -> None:
    one = look(captions=["", "before"], legend=False)
    drawn = one.draw(np.zeros((50, 300, 3), np.uint8), answers(50, 300), "video")["comparison"]
    line = drawn[: drawn.shape[0] - 50]
    assert line[:, :300].min() < 128
    assert line[:, 300:].min() == 255
