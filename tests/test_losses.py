"""Losses of maps in slices of rows: the same numbers as of whole maps."""

import pytest
import torch

from uda_seg import losses
from uda_seg.batch import IGNORE
from uda_seg.components.entropy import information

torch.set_num_threads(1)


def drawn(*shape, dtype=torch.float):
    generator = torch.Generator().manual_seed(0)
    logits = 5 * torch.randn(shape, dtype=dtype, generator=generator)
    label = torch.randint(shape[1] + 2, (shape[0], *shape[2:]), generator=generator)
    weight = torch.rand(label.shape, dtype=dtype, generator=generator)
    return logits.requires_grad_(), label.where(label < shape[1], IGNORE), weight


def entropy(logits, label, weight):
    return losses.per_pixel(lambda rows: information(rows.softmax(1)).sum(1), logits).mean()


LOSSES = {
    "cross_entropy": lambda logits, label, weight: losses.cross_entropy(logits, label),
    "weighted": losses.weighted_cross_entropy,
    "partial": lambda logits, label, weight: losses.partial_cross_entropy(logits, label),
    "entropy": entropy,
}


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("name", LOSSES)
def test_slices_change_no_bit(name, order, monkeypatch):
    logits, label, weight = drawn(2, 19, 61, 77)
    logits = logits.detach().to(memory_format=order).requires_grad_()
    found = []
    for numbers in (logits.numel() + 1, 1):
        monkeypatch.setattr(losses, "LARGE", numbers)
        value = LOSSES[name](logits, label, weight)
        found.append((value, *torch.autograd.grad(0.7 * value, logits)))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])
    assert found[0][1].stride() == found[1][1].stride()


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_of_slices(name, monkeypatch):
    monkeypatch.setattr(losses, "LARGE", 1)
    logits, label, weight = drawn(1, 2, 19, 2, dtype=torch.double)
    assert torch.autograd.gradcheck(lambda maps: LOSSES[name](maps, label, weight), logits)


def test_a_slice_holds_an_eighth_of_the_rows_and_small_maps_are_one(monkeypatch):
    logits, label, _ = drawn(1, 4, 128, 8)
    seen = []

    def rows(maps, one):
        seen.append((maps.shape[2], one.shape[1]))
        return maps.sum(1)

    losses.per_pixel(rows, logits, label)
    monkeypatch.setattr(losses, "LARGE", logits.numel())
    losses.per_pixel(rows, logits, label).sum().backward()
    assert seen == [(128, 128), *[(16, 16)] * 16]
