"""Looking images of one domain up in the other, as a user calls it."""

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from conftest import compose
from PIL import Image

from uda_seg.cli.command_line import check
from uda_seg.commands.retrieve import run
from uda_seg.config import build, conf_folder, shipped
from uda_seg.data.datasets.labels import LabelSpace
from uda_seg.data.datasets.opening import open_scored
from uda_seg.data.feeding.evaluation_set import EvaluationSet
from uda_seg.errors import ConfigError
from uda_seg.retrieval.descriptors import describe
from uda_seg.retrieval.layout import layout, layout_similarities

CLASSES = ["road", "building", "sky", "car"]


def yaml_of(name: str) -> dict:
    return yaml.safe_load((conf_folder() / name).read_text())


def train(folder: Path, camvid: Path, method: str, seed: int, classes: list[str]) -> Path:
    """A run folder as training leaves it, with random weights."""
    torch.manual_seed(seed)
    backbone = yaml_of("backbone/tiny.yaml") | {"depth_head": False}
    source = yaml_of("source/toytown.yaml") | {"size": [24, 32]}
    source["length"] = {"train": 2, "val": 6, "tune": 2}
    target = shipped("target", "camvid") | {"root": str(camvid), "size": [24, 32]}
    config = {
        "run_name": method,
        "method": {"name": method},
        "source": source,
        "target": target,
        "backbone": backbone,
        "seed": seed,
    }
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    network = build(backbone, classes=len(classes))
    torch.nn.init.normal_(network.head.weight, std=20)
    torch.save(
        {
            "state_dict": {f"method.network.{k}": v for k, v in network.state_dict().items()},
            "hyper_parameters": {"config": config, "classes": classes},
            "global_step": 40,
        },
        folder / "checkpoints" / "last.ckpt",
    )
    return folder


@pytest.fixture
def runs(tmp_path: Path, camvid: Path) -> list[Path]:
    return [
        train(tmp_path / name, camvid, name, seed, CLASSES)
        for seed, name in enumerate(["source_only", "adaptseg"])
    ]


def retrieve(output: Path, *overrides: str) -> dict:
    words = [f"output={output}", "device=cpu", "workers=0", "k=[1,2]", *overrides]
    run(compose("retrieve", words), output)
    return json.loads((output / "retrieval.json").read_text())


def test_both_runs_are_scored_shown_and_compared(runs, tmp_path, capsys):
    before, after = runs
    output = tmp_path / "found"
    words = (f"checkpoint={after}", f"compare={before}", "strips=2", "shown=2")
    result = retrieve(output, *words)
    assert [one["label"] for one in result["runs"]] == ["source only", "adaptseg"]
    assert (result["source"]["images"], result["target"]["images"]) == (6, 3)
    assert result["counted"] == CLASSES
    printed = capsys.readouterr().out
    page = (output / "index.html").read_text()
    for words in ("source → target", "target → source", "blind"):
        assert words in printed
        assert words in page
    assert "adaptseg − source only" in page
    strips = sorted(path.name for path in (output / "strips").iterdir())
    assert strips == sorted(
        f"{side}_{query:03}_{name}.png"
        for side, queries in (("source", (0, 3)), ("target", (0, 1)))
        for query in queries
        for name in ("features", "classes")
    )
    assert page.count("data:image/jpeg;base64,") == len(strips)
    assert str(tmp_path) not in page
    with open(output / "retrieval.csv", encoding="utf-8") as file:
        read = list(csv.DictReader(file))
    assert [row["value"] for row in read] == [str(row["value"]) for row in result["rows"]]
    with open(output / "neighbors.csv", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    assert len(found) == 2 * 2 * (6 + 3) * 2
    first = [row for row in found if row["rank"] == "1" and row["queries"] == "source"]
    share = np.mean([row["relevant"] == "True" for row in first if row["run"] == "adaptseg"][:6])
    name = "features" if first[0]["descriptor"] == "features" else "classes"
    told = [
        row["value"]
        for row in result["rows"]
        if (row["run"], row["over"], row["descriptor"]) == ("adaptseg", None, name)
        and (row["queries"], row["metric"], row["k"]) == ("source", "precision", 1)
    ]
    assert told == [pytest.approx(100 * share, abs=0.001)]


def test_numbers_equal_a_plain_loop(runs, tmp_path):
    result = retrieve(tmp_path / "found", f"checkpoint={runs[1]}", "relevant=0.3", "strips=0")
    stored = yaml.safe_load((runs[1] / "config.yaml").read_text())
    network = build(stored["backbone"], classes=len(CLASSES)).eval()
    state = torch.load(runs[1] / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    network.load_state_dict({k.removeprefix("method.network."): v for k, v in state.items()})
    vectors, layouts = {}, {}
    for domain in ("source", "target"):
        dataset = open_scored(stored[domain], "val")
        pictures = EvaluationSet(dataset, [24, 32], LabelSpace(tuple(CLASSES)))
        items = [pictures[i] for i in range(len(pictures))]
        vectors[domain] = [
            describe(network, item[0][None].float() / 255, domain)["classes"][0] for item in items
        ]
        layouts[domain] = [layout(item[1].numpy(), range(4), 4) for item in items]
    alike = layout_similarities(np.stack(layouts["source"]), np.stack(layouts["target"]))
    above = np.quantile(alike, 0.7, axis=1)
    assert result["judged"]
    hits = []
    for q, query in enumerate(vectors["source"]):
        cosines = [float(query @ other) for other in vectors["target"]]
        near = sorted(range(3), key=lambda g: -cosines[g])[:2]
        hits += [alike[q, g] > above[q] for g in near]
    row = next(
        row
        for row in result["rows"]
        if (row["queries"], row["descriptor"]) == ("source", "classes")
        and (row["metric"], row["k"]) == ("precision", 2)
    )
    assert row["value"] == pytest.approx(100 * np.mean(hits), abs=0.001)
    assert row["chance"] == pytest.approx(100 * (alike > above[:, None]).mean(), abs=0.001)
    assert not (tmp_path / "found" / "strips").exists()


def test_a_limit_takes_evenly_spread_images(runs, tmp_path):
    result = retrieve(tmp_path / "found", f"checkpoint={runs[0]}", "limit=2", "k=[5]", "strips=0")
    assert (result["source"]["images"], result["source"]["of"]) == (2, 6)
    with open(tmp_path / "found" / "neighbors.csv", encoding="utf-8") as file:
        names = {row["query"] for row in csv.DictReader(file)}
    assert {"toytown/val/00000", "toytown/val/00003"} < names


def test_a_target_without_labels_is_mixed_and_shown_but_not_judged(runs, tmp_path, caplog):
    for number in range(4):
        picture = np.random.default_rng(number).integers(0, 256, (24, 32, 3)).astype(np.uint8)
        (tmp_path / "bare").mkdir(exist_ok=True)
        Image.fromarray(picture).save(tmp_path / "bare" / f"{number}.png")
    words = (f"checkpoint={runs[0]}", "target=images", f"target.root={tmp_path / 'bare'}")
    output = tmp_path / "found"
    result = retrieve(output, *words, "target.size=[24,32]", "strips=1")
    assert "target=images: no labels" in caplog.text
    assert {row["metric"] for row in result["rows"]} == {"other_domain"}
    assert not result["judged"]
    assert "relevant" not in (output / "index.html").read_text().partition("<h2>")[2]
    drawn = cv2.imread(str(output / "strips" / "target_000_classes.png"))
    assert drawn.shape[1] > 256 * 6


def test_an_earlier_calls_strips_are_not_left_behind(runs, tmp_path):
    output = tmp_path / "found"
    retrieve(output, f"checkpoint={runs[0]}", "strips=3")
    retrieve(output, f"checkpoint={runs[0]}", "strips=1")
    assert len(list((output / "strips").iterdir())) == 4


def test_runs_of_one_method_are_told_apart(runs, tmp_path, camvid):
    again = train(tmp_path / "again" / "seed7", camvid, "adaptseg", 7, CLASSES)
    words = (f"checkpoint={runs[1]}", f"compare=[{runs[0]},{again}]", "strips=0")
    result = retrieve(tmp_path / "found", *words)
    labels = [one["label"] for one in result["runs"]]
    assert labels[1] == "adaptseg (again/seed7)"
    assert {row["over"] for row in result["rows"]} == {None, *labels[:2]}


def test_what_does_not_compare_is_refused(runs, tmp_path, camvid):
    other = train(tmp_path / "other", camvid, "road", 0, ["road", "sky"])
    with pytest.raises(ConfigError, match=r"compare=.*other classes \(road, sky\)"):
        retrieve(tmp_path / "found", f"checkpoint={runs[0]}", f"compare={other}")
    with pytest.raises(ConfigError, match=r"compare=nowhere"):
        retrieve(tmp_path / "found", f"checkpoint={runs[0]}", "compare=nowhere")
    with pytest.raises(ConfigError, match="relevant=1.0: must be above 0 and below 1"):
        retrieve(tmp_path / "found", f"checkpoint={runs[0]}", "relevant=1.0")
    with pytest.raises(ConfigError, match="k=.*a list that is not empty"):
        retrieve(tmp_path / "found", f"checkpoint={runs[0]}", "k=[]")
    with pytest.raises(ConfigError, match="one image; two are needed"):
        retrieve(tmp_path / "found", f"checkpoint={runs[0]}", "source.length.val=1")


def test_source_and_target_of_the_run_can_be_changed_key_by_key(runs):
    words = [f"checkpoint={runs[0]}", "output=x"]
    checked = check("retrieve", [*words, "source.size=[48,64]", "target.root=/x"])
    assert {"++source.size=[48,64]", "++target.root=/x"} < set(checked.overrides)
    assert checked.config.source.size == [48, 64]
    with pytest.raises(ConfigError, match="did you mean source.size"):
        check("retrieve", [*words, "source.sise=[48,64]"])
    with pytest.raises(ConfigError, match="output: missing"):
        check("retrieve", words[:1])
