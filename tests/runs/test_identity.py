"""What makes two configs two experiments, and what does not."""

from typing import Any

import pytest
from conftest import compose

from uda_seg.config import plain
from uda_seg.runs.identity import differences, experiment, same_experiment, told

BASE = ["source=camvid", "target=camvid", "backbone=tiny", "trainer=cpu", "logger=csv"]


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    return plain(compose("train", BASE))


def changed(config: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A copy; `trainer__steps=3` sets trainer.steps."""
    import copy

    made = copy.deepcopy(config)
    for name, value in changes.items():
        *path, last = name.split("__")
        node = made
        for part in path:
            node = node[part]
        node[last] = value
    return made


@pytest.mark.parametrize(
    "changes",
    [
        {"data_root": "/ssd/job7", "source__root": "/ssd/job7/camvid", "target__root": "/a"},
        {"cache": "disk", "cache_root": "/scratch"},
        {"outputs": "elsewhere", "run_name": "other", "resume": "auto", "logger": {}},
        {"trainer__workers": 9, "trainer__threads": 3, "trainer__panels": 0},
        {"trainer__checkpoint_every": 3, "trainer__validate_every": 3, "trainer__log_every": 1},
        {"trainer__accelerator": "gpu", "trainer__progress": False},
        {"trainer__devices": [1]},
        {"trainer__devices": 2, "trainer__batch_size": 2, "trainer__accumulate": 1},
        {"source___target_": "uda_seg.elsewhere.CamVid", "source___choices_": {}},
        {"backbone__channels_last": "cpu"},
    ],
)
def test_places_intervals_and_hardware_are_no_part_of_it(config, changes) -> None:
    before = changed(config, trainer__accumulate=2)
    after = changed(before, **changes)
    assert differences(before, after) == []
    assert same_experiment(before, after)


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"seed": 7}, "seed: was 0, is 7"),
        ({"backbone__optimizer__lr": 0.5}, "backbone.optimizer.lr: was 0.003, is 0.5"),
        ({"backbone__optimizer___target_": "torch.optim.SGD"}, "backbone.optimizer._target_"),
        ({"method__lambda_adv": 0.5}, "method.lambda_adv: was 0.001, is 0.5"),
        ({"label_space": ["road"]}, "label_space: was null, is [road]"),
        ({"trainer__batch_size": 8}, "trainer.batch_size: was 4, is 8"),
        ({"trainer__devices": 2}, "trainer.batch_size times all devices: was 4, is 8"),
        ({"trainer__accumulate": 4}, "trainer.accumulate: was 1, is 4"),
        ({"trainer__precision": "16-mixed"}, "trainer.precision"),
        ({"trainer__limit_val_images": 8}, "trainer.limit_val_images: was null, is 8"),
        ({"trainer__steps": 700}, "trainer.steps: was 600, is 700"),
        ({"source__size": [64, 64]}, "source.size"),
        ({"initial": "outputs/a/seed0"}, "initial: was null, is a/seed0"),
    ],
)
def test_what_is_computed_is(config, changes, shown) -> None:
    found = differences(config, changed(config, **changes))
    assert len(found) == 1
    assert str(found[0]).startswith(shown)
    assert not same_experiment(config, changed(config, **changes))


def test_of_another_method_only_its_name_is_told(config) -> None:
    after = plain(compose("train", [*BASE, "method=source_only", "seed=1"]))
    assert [str(one) for one in differences(config, after)] == [
        "method: was adaptseg, is source_only",
        "seed: was 0, is 1",
    ]


def test_a_longer_run_is_the_same_where_the_schedule_does_not_ask_for_its_length(config) -> None:
    before = changed(config, backbone__schedule__total=1000)
    after = changed(before, trainer__steps=800)
    assert differences(before, after) == []
    assert [str(one) for one in told(before, after)] == ["trainer.steps: was 600, is 800"]
    assert not same_experiment(before, after)  # a finished one is not done
    rounds = [changed(c, method__rounds=3) for c in (before, after)]
    assert [one.key for one in differences(*rounds)] == ["trainer.steps"]


def test_what_a_method_is_built_on_counts_but_for_its_words() -> None:
    config = plain(compose("train", [*BASE, "method=mic", "method@method.base=rpt_plain"]))
    other = changed(config, method__base__label="another", method__base__facts=[])
    assert same_experiment(config, other)
    other = changed(config, method__base__patch_share=0.5)
    assert [one.key for one in differences(config, other)] == ["method.base.patch_share"]
    before = changed(config, backbone__schedule__total=1000)  # rounds lie over the whole run
    after = changed(before, trainer__steps=800)
    assert [one.key for one in differences(before, after)] == ["trainer.steps"]
    named = plain(compose("train", [*BASE, "method=mic", "method@method.base=dacs"]))
    (told_of,) = [one for one in differences(config, named) if one.key == "method"]
    assert str(told_of) == "method: was mic_rpt_plain, is mic_dacs"


def test_a_key_that_a_version_lacks_has_its_default(config) -> None:
    old = changed(config)
    del old["backbone"]["head_factor"], old["on_bad_image"]
    old["backbone"]["gone"] = 3
    assert differences(old, config) == []
    assert [o.key for o in differences(old, config, ["backbone.head_factor"])] == [
        "backbone.head_factor"
    ]


def test_a_mapping_where_there_was_none_counts(config) -> None:
    rare = changed(config, rare_classes={"temperature": 0.01, "pixels": 100})
    for was, now in ((config, rare), (rare, config)):
        found = {one.key for one in differences(was, now)}
        assert found == {"rare_classes.temperature", "rare_classes.pixels"}
        assert not same_experiment(was, now)
    older = changed(config)
    del older["rare_classes"]
    assert differences(older, config) == []


def test_classes_of_the_users_own_all_count(config) -> None:
    before = changed(config, source__classes={"0": "road"})
    after = changed(config, source__classes={"0": "road", "255": "sky"})
    assert [str(one) for one in differences(before, after)] == [
        "source.classes.255: was null, is sky"
    ]


def test_the_run_it_starts_from_may_lie_elsewhere(config) -> None:
    before = changed(config, initial="/old/warm_up/seed0", backbone__pretrained="/a/w.pth")
    after = changed(
        config, initial="warm_up/seed0/checkpoints/last.ckpt", backbone__pretrained="b/w.pth"
    )
    assert differences(before, after) == []
    assert experiment(before)["initial"] == "warm_up/seed0"
