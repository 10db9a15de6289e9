"""Masks of blocks: how many, how large, how much is kept."""

import pytest
import torch

from uda_seg.components.block_mask import block_mask, masked


@pytest.mark.parametrize(
    ("size", "block", "grid"),
    [
        ((512, 512), 32, (16, 16)),
        ((1024, 1024), 64, (16, 16)),
        ((1120, 1120), 64, (18, 18)),
        ((100, 48), 32, (3, 2)),
        ((80, 80), 32, (2, 2)),
    ],
)
def test_a_grid_of_blocks_enlarged(
    size: tuple[int, int], block: int, grid: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, columns = grid

    def numbers(images: int, count: int, device: object) -> torch.Tensor:
        assert (images, count) == (1, rows * columns)
        checks = torch.arange(rows)[:, None] + torch.arange(columns)
        return (checks % 2).float().flatten()[None]

    monkeypatch.setattr("uda_seg.components.block_mask.random_numbers", numbers)
    mask = block_mask(torch.zeros(1, 3, *size), block, 0.7)[0, 0]
    for line, count, length in ((mask[0], columns, size[1]), (mask[:, 0], rows, size[0])):
        edges = (line.diff() != 0).nonzero().flatten() + 1
        assert len(edges) == count - 1
        widths = torch.cat([edges, torch.tensor([length])]).diff(prepend=torch.zeros(1))
        assert {int(w) for w in widths} <= {length // count, length // count + 1}
    assert mask.unique().tolist() == [0, 1]


@pytest.mark.parametrize(
    ("side", "block", "mean", "deviation"), [(512, 32, 76.8, 7.33), (1120, 64, 97.2, 8.25)]
)
def test_the_share_kept_varies(side: int, block: int, mean: float, deviation: float) -> None:
    torch.manual_seed(0)
    cells = round(side / block)
    small = torch.zeros(400, 3, cells, cells)  # one pixel a block: what is drawn is the same
    kept = block_mask(small, 1, 0.7).sum((1, 2, 3))
    assert float(kept.mean()) == pytest.approx(mean, abs=3 * deviation / 20)
    assert float(kept.std()) == pytest.approx(deviation, rel=0.12)


def test_nothing_or_all_is_masked() -> None:
    image = torch.rand(2, 3, 8, 8)
    assert bool((block_mask(image, 4, 0.0) == 1).all())
    assert bool((block_mask(image, 4, 1.0) == 0).all())


def test_what_is_masked_has_the_mean_color() -> None:
    mean = torch.tensor([0.1, 0.2, 0.3]).view(1, 3, 1, 1)
    image, mask = torch.rand(1, 3, 2, 2), torch.tensor([[[[1.0, 0.0], [0.0, 1.0]]]])
    out = masked(image, mask, mean)
    assert torch.allclose((out - mean), (image - mean) * mask)
