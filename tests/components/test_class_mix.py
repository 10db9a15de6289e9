"""Which classes ClassMix draws, and from where."""

import pytest
import torch

from uda_seg.components.class_mix import class_masks
from uda_seg.errors import ConfigError

A = torch.tensor([[0, 0], [1, 255]])
B = torch.tensor([[2, 2], [2, 0]])


def drawn(label: torch.Tensor, mask: torch.Tensor) -> set[int]:
    """What a mask pastes of a label; it is all of each class, or nothing."""
    inside, outside = set(label[mask[0]].tolist()), set(label[~mask[0]].tolist())
    assert not inside & outside
    return inside


@pytest.mark.parametrize(("classes", "expected"), list(enumerate([1, 1, 2, 2, 3, 3, 4, 4], 1)))
def test_half_of_the_classes_rounded_up(classes: int, expected: int) -> None:
    label = torch.arange(classes).view(1, 1, classes)
    assert int(class_masks(label, "image").sum()) == expected


def test_an_image_pastes_classes_of_its_own_and_void_is_one() -> None:
    torch.manual_seed(0)
    seen = set()
    for _ in range(60):
        masks = class_masks(torch.stack([A, B]), "image")
        assert masks.shape == (2, 1, 2, 2)
        first, second = drawn(A, masks[0]), drawn(B, masks[1])
        assert len(first) == 2
        assert len(second) == 1
        seen.add((*sorted(first), *second))
    assert len(seen) == 6, "2 of {0, 1, 255} and 1 of {0, 2}"


def test_or_classes_of_the_whole_batch_and_then_perhaps_nothing() -> None:
    torch.manual_seed(0)
    both = [class_masks(torch.stack([A, B]), "batch") for _ in range(100)]
    expected = (torch.tensor([[0, 0], [1, 0]]).bool(), torch.tensor([[1, 1], [1, 0]]).bool())
    # Each image draws 2 of {0, 1, 2, 255}; with {1, 2} these are the masks.
    assert any(torch.equal(one[0, 0], expected[0]) for one in both)
    assert any(torch.equal(one[1, 0], expected[1]) for one in both)
    assert any(not one[1].any() for one in both), "{1, 255} pastes nothing of B"
    shares = torch.stack([one[:, 0].float().mean() for one in both])
    assert 0.4 < float(shares.mean()) < 0.6


def test_every_class_is_drawn_equally_often() -> None:
    torch.manual_seed(0)
    label = torch.arange(4).view(1, 1, 4)
    often = torch.stack([class_masks(label, "image")[0, 0, 0] for _ in range(600)]).float().mean(0)
    assert often.tolist() == pytest.approx([0.5] * 4, abs=0.07)


def test_another_share_and_an_unknown_scope() -> None:
    label = torch.arange(8).view(1, 1, 8)
    assert int(class_masks(label, "image", share=0.25).sum()) == 2
    with pytest.raises(ConfigError, match="image or batch"):
        class_masks(label, "world")
