"""`data prepare superpixels`: what RPT reads is there before it begins, or it does not begin."""

import logging
import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from conftest import compose, write_camvid
from PIL import Image

from uda_seg.batch import NO_SUPERPIXEL
from uda_seg.cli import help_text
from uda_seg.commands import data_prepare, data_prepare_superpixels
from uda_seg.config import plain
from uda_seg.data.cache import fill_cache
from uda_seg.data.cache.slic import SLIC
from uda_seg.data.feeding.streams import TrainingPairs, WholeImages, collate_pairs, collate_whole
from uda_seg.errors import CheckError, ConfigError
from uda_seg.training.setup import make_data_module

VERB = "data_prepare_superpixels"
SETTINGS = ["target.size=[24,32]", "superpixels.segments=20", "cache_root=kept"]


@pytest.fixture(autouse=True)
def _heard(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def words(camvid: Path, *more: str) -> list[str]:
    return ["target=camvid", f"target.root={camvid}", *SETTINGS, *more]


def prepare(*given: str) -> None:
    data_prepare_superpixels.run(compose(VERB, [*given, "workers=0"]), Path())


def pair_of(*given: str) -> Any:
    chosen = ["source=toytown", "method=rpt_plain", "trainer.workers=0", *given]
    return make_data_module(plain(compose("train", chosen)), Path())


def entries() -> dict[str, int]:
    """How many there are of each kind."""
    shelves = ["/".join(path.parts[-4:-2]) for path in Path("kept").rglob("*.bin")]
    return {shelf: shelves.count(shelf) for shelf in sorted(set(shelves))}


@pytest.mark.parametrize("workers", [0, 2])
def test_superpixels_are_kept_and_nothing_else(
    camvid: Path, workers: int, caplog: pytest.LogCaptureFixture
) -> None:
    given = words(camvid, f"workers={workers}", "pictures=2")
    data_prepare_superpixels.run(compose(VERB, given), Path())
    assert entries() == {"CamVid/superpixels_32x24": 3}
    title = "target camvid train, superpixels"
    assert f"{title}: 3 samples, 0 kept already, 3 to make, about" in caplog.text
    assert "images/s" in caplog.text
    with Image.open("kept/superpixels_camvid.png") as picture:
        assert picture.size == (3 * 32 + 2 * 4, 18 + 2 * 24 + 4)
    before = {path: path.stat().st_mtime_ns for path in Path("kept").rglob("*.bin")}
    caplog.clear()
    prepare(*words(camvid))
    assert before == {path: path.stat().st_mtime_ns for path in Path("kept").rglob("*.bin")}
    assert f"{title}: 3 samples, 3 kept already, 0 to make" in caplog.text


def test_it_goes_on_where_it_was_stopped(camvid: Path, caplog: pytest.LogCaptureFixture) -> None:
    prepare(*words(camvid))
    next(Path("kept").rglob("*.bin")).unlink()
    caplog.clear()
    prepare(*words(camvid))
    assert "3 samples, 2 kept already, 1 to make" in caplog.text
    assert entries() == {"CamVid/superpixels_32x24": 3}


def test_training_does_not_begin_without_them(camvid: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"camvid has not prepared \(3 of 3 images\): run"
    ) as told:
        pair_of(*words(camvid))
    assert f"target.root={camvid}" in str(told.value)
    assert entries() == {}
    prepare(*words(camvid))
    next(Path("kept").rglob("*.bin")).unlink()
    with pytest.raises(ConfigError, match="1 of 3 images"):
        pair_of(*words(camvid))


@pytest.mark.parametrize("cache", ["none", "disk", "ram"])
def test_batches_carry_what_was_prepared(
    camvid: Path, cache: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    crop = "target.augment.crop=[32,24]"  # higher than the image: padded
    prepare(*words(camvid))
    expected = pair_of(*words(camvid)).target.dataset.read(1, {"superpixels"}).superpixels
    if cache != "ram":
        monkeypatch.setattr(SLIC, "__call__", None)
    pair = pair_of(*words(camvid, crop, f"cache={cache}"))
    items = [TrainingPairs(pair.source, pair.target)[i] for i in range(2)]
    batch = pair.on_after_batch_transfer(collate_pairs(items), 0)
    found = batch.target.superpixels
    assert found.dtype == torch.long
    assert found.shape == (2, 32, 24)
    assert (found[:, 24:] == NO_SUPERPIXEL).all()
    assert (found[:, :24] >= 0).all()
    assert sorted(batch.target.index.tolist())[1] < 3
    whole = collate_whole([WholeImages(pair.target, [24, 32])[1]])
    assert whole is not None
    assert whole.superpixels is not None
    np.testing.assert_array_equal(whole.superpixels[0], expected)


def test_drawn_scenes_need_no_preparation(caplog: pytest.LogCaptureFixture) -> None:
    prepare("target=toytown_camera", "cache_root=kept")
    assert "toytown_camera train, superpixels: is drawn, not read" in caplog.text
    with pytest.raises(ConfigError, match="nothing to prepare: give target="):
        prepare("cache_root=kept")
    few = "target.length={train: 2, val: 2}"
    pair = pair_of("target=toytown_camera", few, "source.length={train: 2, val: 2}", *SETTINGS[1:])
    item = pair.target[0]
    assert item["superpixels"].shape == (128, 256)
    assert 10 < item["superpixels"].max() < 40
    assert "superpixels" not in pair.source[0]


@pytest.mark.parametrize(
    "given",
    [
        ["target=camvid", "target.root=a street/Nähe"],
        ["target=camvid", "target.root=it's", "target.size=[20,28]", "superpixels.compactness=20"],
        ["target=camvid", "target.root=plain", "target.train_split=val", "target.size=[16,24]"],
        [
            "target=[toytown_camera,camvid]",
            "target.datasets.camvid.root=a b",
            "target.size=[16,32]",
        ],
    ],
)
def test_the_command_that_is_told_prepares_just_what_lacks(given: list[str]) -> None:
    (root,) = (Path(word.partition("=")[2]) for word in given if "root=" in word)
    write_camvid(root)
    settings = [
        "cache_root=my cache",
        *(["superpixels.segments=15"] if "plain" in given[1] else []),
    ]
    given = [word.replace("=a street/Nähe", "='a street/Nähe'") for word in given]
    given = [word.replace("=it's", "='it\\'s'").replace("=a b", "='a b'") for word in given]
    settings[0] = "cache_root='my cache'"
    with pytest.raises(ConfigError, match="has not prepared") as told:
        pair_of(*given, *settings)
    command = shlex.split(str(told.value).splitlines()[1])
    assert command[:3] == ["python", "-m", "uda_seg"]
    verb = help_text.verb_of(told_words := command[3:])
    assert verb == VERB
    prepare(*told_words)
    pair_of(*given, *settings)


def test_of_a_users_own_file_root_and_size_are_told(camvid: Path) -> None:
    config = plain(compose("train", words(camvid, "source=toytown", "method=rpt_plain")))
    config["target"]["name"] = "my_city"
    with pytest.raises(ConfigError, match=r"target=my_city target.root=\S+ .*--config-dir=…"):
        make_data_module(config, Path())


def test_broken_images_are_told_and_can_be_skipped(
    camvid: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (camvid / "train/001.png").write_bytes(b"<html>")
    with pytest.raises(CheckError, match="1 sample cannot be read"):
        prepare(*words(camvid))
    assert entries() == {"CamVid/superpixels_32x24": 2}
    with pytest.raises(ConfigError, match="1 of 3 images"):
        pair_of(*words(camvid))
    caplog.clear()
    pair = pair_of(*words(camvid, "on_bad_image=skip"))
    assert "1 of 3 images have no superpixels yet; run: python -m uda_seg" in caplog.text
    assert WholeImages(pair.target, None)[1] is None
    assert WholeImages(pair.target, None)[2] is not None
    with pytest.raises(ConfigError, match="3 of 3"):
        pair_of(*words(camvid, "on_bad_image=skip", "superpixels.segments=9"))


def test_a_disk_that_is_too_small_is_refused_before(
    camvid: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    little = SimpleNamespace(free=fill_cache.SPARE + 50)
    monkeypatch.setattr(fill_cache.shutil, "disk_usage", lambda _: little)
    with pytest.raises(ConfigError, match=r"cache_root=kept: about .* are needed"):
        prepare(*words(camvid))
    assert entries() == {}


def test_clear_removes_superpixels_alone(camvid: Path, caplog: pytest.LogCaptureFixture) -> None:
    sides = [f"target.root={camvid}", "cache_root=kept", "workers=0", "target.size=[24,32]"]
    data_prepare.run(compose("data_prepare", ["target=camvid", *sides]), Path())
    images = entries()
    prepare(*words(camvid))
    prepare(*words(camvid, "target.size=[20,28]"))
    assert sum(entries().values()) == sum(images.values()) + 6
    prepare(*words(camvid, "clear=true"))
    assert entries() == images
    assert "CamVid: " in caplog.text


@pytest.mark.parametrize(
    ("line", "verb", "rest"),
    [
        ("data prepare superpixels target=camvid", VERB, ["target=camvid"]),
        ("data prepare target=camvid", "data_prepare", ["target=camvid"]),
        ("data prepare", "data_prepare", []),
        ("data prepare --help", "data_prepare", ["--help"]),
        ("compare seeds=[1]", "compare", ["seeds=[1]"]),
    ],
)
def test_a_verb_has_one_word_or_more(line: str, verb: str, rest: list[str]) -> None:
    given = line.split()
    assert help_text.verb_of(given) == verb
    assert given == rest


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("data prepare superpixel", "did you mean data prepare superpixels?"),
        ("data prepar", "data needs a second word"),
        ("data", "data needs a second word"),
        ("dta prepare", "dta: unknown verb"),
    ],
)
def test_a_verb_that_does_not_exist_is_told(line: str, answer: str) -> None:
    with pytest.raises(ConfigError, match=answer.replace("?", r"\?")):
        help_text.verb_of(line.split())


def test_help_names_the_verb_and_the_keys_of_superpixels() -> None:
    assert "data prepare superpixels" in help_text.overview()
    for verb in ("train", VERB):
        assert "superpixels.segments" in help_text.of_verb(verb)
    assert "superpixels.segments" not in help_text.of_verb("data_prepare")


def test_both_commands_have_the_same_settings() -> None:
    both = [plain(compose(verb, ["target=toytown"]))["superpixels"] for verb in ("train", VERB)]
    assert both[0] == both[1]
