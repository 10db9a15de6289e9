"""MRM's rebuilder, and where its loss comes from; there is nothing published to hold it to."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from conftest import make_batch
from test_all_methods import make

from uda_seg.batch import IGNORE
from uda_seg.errors import ConfigError
from uda_seg.networks.rebuilder import Rebuilder


def rebuilder(ratio: float, enlargements: int = 1) -> Rebuilder:
    torch.manual_seed(0)
    return Rebuilder([4, 6], 8, grid=4, ratio=ratio, blocks=2, heads=2, enlargements=enlargements)


def stages(height: int = 16, width: int = 24) -> list[torch.Tensor]:
    return [torch.randn(2, 4, 2 * height, 2 * width), torch.randn(2, 6, height, width)]


@pytest.mark.parametrize("enlargements", [0, 2])
def test_visible_features_stay_and_the_others_are_made(enlargements: int) -> None:
    given, network = stages(), rebuilder(0.4, enlargements)
    torch.manual_seed(1)
    taken = network.taken(given[1])
    assert taken.sum(1).tolist() == [6, 6], "40 % of 16 tokens, in each image"
    torch.manual_seed(1)
    early, deep = network(given)
    assert [early.shape, deep.shape] == [stage.shape for stage in given]
    cells = taken.view(2, 1, 4, 4).repeat_interleave(4, 2).repeat_interleave(6, 3)
    same = (deep == given[1]).all(1, keepdim=True)
    assert torch.equal(same, ~cells)


def test_shallower_stages_come_from_the_deepest_alone() -> None:
    given, network = stages(), rebuilder(0.0)
    other = [torch.zeros_like(given[0]), given[1]]
    assert torch.equal(network(given)[0], network(other)[0])
    assert torch.equal(network(given)[1], given[1]), "nothing was taken away"


def test_what_is_taken_away_is_not_seen() -> None:
    network = rebuilder(1.0)
    ones, others = network(stages())[1], network(stages())[1]
    assert torch.allclose(ones, others, atol=1e-6), "all tokens are the learned one"


def test_the_loss_is_that_of_the_decoded_features(network: Any) -> None:
    """A plain transcription of what is described."""
    method: Any = make(("mrm", ("method@method.base=dacs",)), network)
    batch = make_batch()
    torch.manual_seed(3)
    (loss,) = [part["rebuilt"] for part in method.losses(batch) if "rebuilt" in part]
    label, weight = method.pseudo.label, method.pseudo.weight
    assert method.pseudo is method.base.pseudo
    assert 0 < float(weight.max()) < 1
    torch.manual_seed(3)
    list(method.base.losses(batch))  # the same random numbers before ours
    image = (batch.target.image - 0.5) / 0.25
    early, deep = network.early(image), network.late(network.early(image))
    scores = network.head(method.rebuilder([early, deep])[1])
    logits = F.interpolate(scores, image.shape[-2:], mode="bilinear")
    errors = F.cross_entropy(logits, label, ignore_index=IGNORE, reduction="none")
    torch.testing.assert_close(loss, (errors * weight).mean(), rtol=1e-5, atol=1e-7)


def test_on_mic_its_teacher_and_its_pseudo_labels_serve(network: Any) -> None:
    words = ("method@method.base=mic", "method@method.base.base=adaptseg_single")
    method: Any = make(("mrm", words), network)
    assert method.teacher is None
    list(method.losses(make_batch()))
    assert method.pseudo is method.base.pseudo
    assert set(method.players()) == {"network", "discriminator", "rebuilder"}
    alone: Any = make(("mrm", (*words, "method.base.masked_images=source")), network)
    assert alone.teacher is not None, "MIC makes none then"


def test_of_hrda_the_context_is_rebuilt(network: Any) -> None:
    method: Any = make(("mrm", ("method@method.base=hrda",)), network)
    seen: list[Any] = []
    method.rebuilder.register_forward_hook(lambda _, given, __: seen.append(given[0][-1].shape))
    (loss,) = [part["rebuilt"] for part in method.losses(make_batch()) if "rebuilt" in part]
    loss.backward()
    context = method.network.encode(make_batch().target.image)
    assert seen == [context.shape]
    assert method.rebuilder.missing.grad.any()


def test_a_network_that_keeps_its_stages_is_refused(
    network: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(type(network), "stages")
    with pytest.raises(ConfigError, match="TinyNetwork does not hand them out"):
        make(("mrm", ()), network)
