"""YAML and Python agree, nodes become objects, and values are judged by the YAML."""

import functools
import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from uda_seg.cli import help_text, targets
from uda_seg.cli.composed import compose
from uda_seg.cli.rules import Rule
from uda_seg.cli.tree import run_of
from uda_seg.config import arguments_of, build, conf_folder, locate, plain
from uda_seg.errors import ConfigError

FROM_CODE = {
    "backbone": {"classes"},
    "method": {"network"},
    "source": {"split"},
    "target": {"split"},
    "logger": {"folder", "run_name", "config"},
}
"""What `build` is given besides the YAML."""

SMALL = {"source": "camvid", "target": "camvid", "backbone": "tiny"}
GROUPS = help_text.groups_of("train")
FILES = [
    (group, name)
    for group, names in help_text.choices([conf_folder()]).items()
    if group in GROUPS and group != "sweep"  # a sweep says something to Hydra only
    for name in names
]


def composed(verb: str, **groups: Any) -> dict[str, Any]:
    config = compose(verb, [f"{group}={name}" for group, name in groups.items()], None)
    return run_of(config)


def built(node: Any, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield path, node
        for key, child in node.items():
            yield from built(child, f"{path}.{key}")


def disagreements(node: Mapping[str, Any], from_code: set[str]) -> Iterator[str]:
    """Parameters without a key. Keys without a parameter are found by `targets.complaints`."""
    parameters = inspect.signature(locate(node["_target_"])).parameters
    given = set(arguments_of(node))
    for name, parameter in parameters.items():
        required = parameter.default is parameter.empty and parameter.kind not in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
        )
        if required and name not in given | from_code and not node.get("_partial_"):
            yield f"{name} is missing"
    yield from (f"{key} has words beside it, but stands nowhere" for key in stray(node))


def stray(node: Mapping[str, Any]) -> list[str]:
    """Keys that the meta keys speak of, but which do not exist beside them."""
    named = [*node.get("_choices_", {}), *node.get("_minimum_", {}), *node.get("_optional_", ())]
    return [key for key in named if key not in node]


@functools.cache
def composed_with(group: str, name: str) -> dict[str, Any]:
    """A config with that file in it; the n-th files of all groups are composed at once."""
    if group == "experiment":  # it chooses files of other groups
        return composed("train", **{group: name})
    place = [n for g, n in FILES if g == group].index(name)
    return _composed_at(place)


@functools.cache
def _composed_at(place: int) -> dict[str, Any]:
    files: dict[str, list[str]] = {}
    for group, name in FILES:
        files.setdefault(group, []).append(name)
    files.pop("experiment", None)
    wanted = {group: names[place] for group, names in files.items() if place < len(names)}
    return composed("train", **(SMALL | wanted))


@pytest.mark.parametrize(("group", "name"), FILES)
def test_every_file_agrees_with_its_constructor(group: str, name: str) -> None:
    tree = composed_with(group, name)
    wanted = tree if group == "experiment" else {group: tree[group]}
    nodes = list(built(wanted, ""))
    assert nodes or group in ("logger", "trainer"), "nothing is built of it"
    assert list(targets.complaints(wanted)) == []
    for path, node in nodes:
        room = path.split(".")[1]
        outermost = path.count(".") == (2 if room == "logger" else 1)
        from_code = FROM_CODE.get(room, set()) if outermost else set()
        assert list(disagreements(node, from_code)) == [], path


@pytest.mark.parametrize("verb", help_text.verbs())
def test_rules_of_a_root_speak_of_keys_that_exist(verb: str) -> None:
    groups = [f"{g}={c}" for g, c in SMALL.items() if help_text.groups_of(verb).get(g)]
    tree = run_of(compose(verb, groups, None))
    assert stray(tree) == []
    for path, node in built({"inference": tree.get("inference")}, ""):
        assert list(disagreements(node, set())) == [], path


def test_the_defaults_of_every_verb_exist() -> None:
    known = help_text.choices([conf_folder()])
    for verb in help_text.verbs():
        for group, default in help_text.groups_of(verb).items():
            names = [] if default is None else default.strip("[]").split(",")
            assert set(names) <= set(known.get(group, [])), (verb, group)


def test_build_makes_nested_objects_and_drops_what_is_not_for_them() -> None:
    node = {
        "_target_": "torch.nn.Sequential",
        "_choices_": {"x": [1]},
        "name": "two layers",
    }
    assert len(build(node)) == 0
    linear = {"_target_": "torch.nn.Linear", "in_features": 2, "out_features": 3}
    assert build(linear, bias=False).bias is None
    holder = {"_target_": "uda_seg.config.plain", "config": {"inner": [linear], "_hidden": 1}}
    built = build(OmegaConf.create(holder))
    assert built["inner"][0].out_features == 3
    assert "_hidden" not in built


def test_build_names_the_key_that_is_missing_and_the_one_that_was_meant() -> None:
    node = {"_target_": "torch.nn.Linear", "in_feature": 2, "out_features": 3, "name": "x"}
    with pytest.raises(ConfigError, match=r"missing .*'in_features'.*did you mean in_feature\?"):
        build(node)
    with pytest.raises(ConfigError, match="unexpected keyword argument 'classes'"):
        build(node | {"in_features": 2}, classes=3)


def test_a_key_that_nothing_reads_is_found() -> None:
    node = {
        "_target_": "torch.optim.Adam", "_partial_": True,
        "lr": "${..rate}", "weight_decy": 0.1, "unknown_to_all": 1,
    }  # fmt: skip
    method = {"_target_": "uda_seg.methods.source_only.SourceOnly", "rate": 1.0, "optimizer": node}
    lines = list(targets.complaints({"method": method | {"weights": {"a": "${..factor}"}}}))
    assert len(lines) == 3
    assert lines[0].startswith("method.optimizer: unknown key, ")
    assert lines[1].startswith(
        "method.optimizer.weight_decy: unknown key, did you mean weight_decay?"
    )
    assert lines[2].startswith("method.optimizer.unknown_to_all: unknown key, Adam takes: ")


def test_build_makes_partials() -> None:
    made = build({"_target_": "torch.optim.SGD", "_partial_": True, "lr": 0.5})
    assert isinstance(made, functools.partial)
    assert made.keywords == {"lr": 0.5}


@pytest.mark.parametrize("path", ["os.system", "uda_seg.nowhere.Thing", "torch.nn.Nothing"])
def test_build_refuses_strangers_and_names_what_is_missing(path: str) -> None:
    with pytest.raises(ConfigError, match=path):
        build({"_target_": path})


def test_build_needs_a_target() -> None:
    with pytest.raises(ConfigError, match="_target_"):
        build({"lr": 1})


def test_plain_drops_what_only_the_check_reads() -> None:
    node = {"_choices_": {"a": [1]}, "_minimum_": {}, "_target_": "t", "a": [{"_optional_": []}]}
    assert plain(node) == {"_target_": "t", "a": [{}]}


@pytest.mark.parametrize(
    ("default", "right", "wrong"),
    [
        (True, [False], [1, 0, "yes", None, [True]]),
        (3, [0, -5], [True, 3.0, "3", None]),
        (0.5, [1, 2.5, -1e-3], [False, "high", None]),
        ("a", ["b"], [5, 2.5, True, ["b"], None, ""]),
        ([1, 2], [[3], [], [4, 5, 6]], [3, "1,2", ["a"], [1, 2.5], [True], {"a": 1}]),
        ([0.9, 0.99], [[1, 0.5]], [["x"]]),
        ([], [["a", 1]], ["a"]),
        ({"a": 1}, [], [3, "a", [1]]),
        (None, [1, "a", [2]], [None]),
    ],
)
def test_values_are_judged_by_the_type_of_the_default(
    default: Any, right: list[Any], wrong: list[Any]
) -> None:
    rule = Rule(default)
    assert [value for value in right if list(rule.complaints("key", value))] == []
    assert [value for value in wrong if not list(rule.complaints("key", value))] == []


def test_choices_and_minimum() -> None:
    choices = Rule("warn", choices=[True, False, "warn"])
    assert not list(choices.complaints("k", True))
    assert "choose from true, false, warn" in next(choices.complaints("k", 1))
    assert "did you mean warn?" in next(choices.complaints("k", "wran"))
    several = Rule(["a"], choices=["a", "b"])
    assert not list(several.complaints("k", ["b", "a"]))
    assert "k=[a,c]" in next(several.complaints("k", ["a", "c"]))
    least = Rule([16, 16], minimum=16)
    assert not list(least.complaints("k", [16, 20]))
    assert "at least 16" in next(least.complaints("k", [20, 15]))
    assert "at least 0" in next(Rule(None, minimum=0).complaints("k", "high"))
    assert not list(Rule(None, minimum=0, nullable=True).complaints("k", None))


def test_a_package_without_its_yaml_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("uda_seg.config.__file__", str(tmp_path / "src" / "uda_seg" / "config.py"))
    with pytest.raises(ConfigError, match="install uda_seg again"):
        conf_folder()


def test_a_key_that_a_constructor_misses_is_named() -> None:
    with pytest.raises(ConfigError, match=r"torch.nn.Linear: .*'out_features'"):
        build({"_target_": "torch.nn.Linear", "in_features": 2})
