"""Numbers out of papers: none without an origin, means that fit their classes."""

import math

import pytest

from uda_seg.errors import ConfigError
from uda_seg.report.published import UNKNOWN, Mean, columns_of, published_of

CLASSES = ("road", "car", "sky")
TABLE = {
    "columns": ["miou_three"],
    "means": {"miou_three": {"label": "mean of 3", "classes": ["road", "car", "sky"]}},
    "sources": {"figure": "a figure", "readme": "a README"},
}


def of(published, table=TABLE):
    return published_of("multi", {"published": published}, table, CLASSES)


def test_origin_of_a_row_holds_for_all_values_but_those_with_their_own() -> None:
    said = of(
        {
            "origin": "recalled",
            "certainty": "medium",
            "iou": [10, 20.5, None],
            "miou_three": {"value": 15.2, "origin": "read", "source": ["figure", "readme"]},
        }
    )
    assert said.iou["road"].number == 10
    assert said.iou["road"].origin.words == "recalled, fairly sure"
    assert said.iou["car"].number == 20.5
    assert math.isnan(said.iou["sky"].number)
    assert said.iou["sky"].origin == UNKNOWN
    assert said.means["miou_three"].origin.words == "read: a figure; a README"
    assert not said.oracle.known


def test_nothing_is_known_of_a_row_without_numbers() -> None:
    for published in (None, {}, {"origin": "unknown"}):
        said = of(published)
        assert not any(v.known for v in (*said.iou.values(), *said.means.values(), said.oracle))


def test_a_mean_that_a_paper_does_not_give_is_computed_from_all_its_classes() -> None:
    read = {"origin": "read", "source": "figure"}
    said = of(read | {"iou": [10, 20, 40]}).means["miou_three"]
    assert said.number == pytest.approx(70 / 3)
    assert said.origin.words == "computed by us from the row's published classes"
    assert not of(read | {"iou": [10, 20, None]}).means["miou_three"].known
    assert of(read | {"iou": [10, 20, 40], "miou_three": 25}).means["miou_three"].number == 25


def test_a_mean_may_be_over_more_classes_than_it_counts() -> None:
    iou = {"road": 79.43, "sidewalk": 36.39, "building": 72.39}
    assert Mean("m", "m", tuple(iou), over=14).of_classes(iou) == pytest.approx(188.21 / 14)
    assert Mean("m", "m", tuple(iou)).of_classes(iou) == pytest.approx(188.21 / 3)
    assert math.isnan(Mean("m", "m", (*iou, "bus")).of_classes(iou))


@pytest.mark.parametrize(
    ("published", "words"),
    [
        ({"iou": [1, 2, 3]}, "a number needs an origin"),
        ({"origin": "unknown", "miou_three": 3}, "a number needs an origin"),
        ({"origin": "recalled", "miou_three": 3}, "needs a certainty, one of high, medium"),
        ({"origin": "read", "miou_three": 3}, "needs a source of table.sources"),
        ({"origin": "read", "source": "figur", "miou_three": 3}, "did you mean figure"),
        ({"origin": "read", "source": "figure", "iou": [1, 2]}, "each of the 3 classes"),
        ({"origin": "read", "source": "figure", "miou_three": 300}, "no number of percent"),
        ({"origin": "read", "source": "figure", "miou_thre": 3}, "did you mean miou_three"),
    ],
)
def test_a_published_number_that_is_not_accounted_for_is_refused(published, words) -> None:
    with pytest.raises(ConfigError, match=f"table.rows.multi.published.*{words}"):
        of(published)


def test_columns_are_protocols_or_the_tables_own() -> None:
    labels = [column.label for column in columns_of(TABLE | {"columns": ["miou_16", "miou_three"]})]
    assert labels == ["mIoU 16", "mean of 3"]
    with pytest.raises(ConfigError, match="mio_16 unknown, did you mean miou_16"):
        columns_of(TABLE | {"columns": ["mio_16"]})
