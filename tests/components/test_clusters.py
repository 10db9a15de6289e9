"""Clusters of look-alikes: found, the same for a seed, counted as in a loop."""

import pytest
import torch
import torch.nn.functional as F

from uda_seg.batch import IGNORE
from uda_seg.components import clusters
from uda_seg.components.clusters import class_counts, cluster, compact, nearest
from uda_seg.components.superpixels import dominant


def groups(count: int, each: int, width: int = 16) -> torch.Tensor:
    """Tight groups, one after the other."""
    generator = torch.Generator().manual_seed(0)
    middles = F.normalize(torch.randn(count, width, generator=generator), dim=1)
    noise = torch.randn(count * each, width, generator=generator)
    return F.normalize(middles.repeat_interleave(each, 0) + 0.02 * noise, dim=1)


def test_finds_groups():
    features = groups(5, each=40)
    members = nearest(features, cluster(features, 5, seed=0)).view(5, 40)
    assert (members == members[:, :1]).all()
    assert members[:, 0].unique().numel() == 5


def test_a_seed_decides():
    features = torch.randn(3000, 8, generator=torch.Generator().manual_seed(0))
    first, again, other = (cluster(features, 20, seed=seed) for seed in (3, 3, 4))
    assert first.shape == (20, 8)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_leaves_torch_s_random_numbers_alone():
    features = groups(5, each=40)
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    cluster(compact(torch.randn(50, 300, generator=torch.Generator()), seed=0), 4, seed=0)
    cluster(features, 5, seed=0)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("count", [1, 6, 7])
def test_no_more_points_than_clusters_are_their_own_centres(count):
    features = torch.randn(count, 3, generator=torch.Generator().manual_seed(0))
    centres = cluster(features, 7, seed=0)
    assert torch.equal(centres, features)
    assert torch.equal(nearest(features, centres), torch.arange(count))


@pytest.mark.parametrize("count", [8, clusters.LEAST_BATCH, clusters.LEAST_BATCH + 1])
def test_few_points_are_enough(count):
    """Where they make one mini-batch, or one and a bit: scikit-learn fails after a single step."""
    features = torch.randn(count, 3, generator=torch.Generator().manual_seed(0))
    centres = cluster(features, 7, seed=0)
    assert centres.shape == (7, 3)
    assert centres.isfinite().all()


def test_nearest_is_that_of_a_loop(monkeypatch):
    monkeypatch.setattr(clusters, "CHUNK", 7)
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(30, 4, generator=generator)
    centres = 2 * torch.randn(6, 4, generator=generator)
    expected = [
        min(range(6), key=lambda k: float((feature - centres[k]).square().sum()))
        for feature in features
    ]
    assert nearest(features, centres).tolist() == expected


def test_narrow_features_are_only_normalised():
    features = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    assert torch.equal(compact(features, seed=0), torch.tensor([[0.6, 0.8], [0.0, 0.0]]))


def test_wide_features_keep_their_cosines_roughly():
    features = torch.randn(60, 1000, generator=torch.Generator().manual_seed(0))
    features[30:] += 2 * features[:30]
    small = compact(features, seed=0)
    assert small.shape == (60, clusters.WIDTH)
    torch.testing.assert_close(small.norm(dim=1), torch.ones(60))
    exact = F.normalize(features, dim=1) @ F.normalize(features, dim=1).T
    error = small @ small.T - exact
    assert error.abs().max() < 0.5
    assert error.square().mean().sqrt() < 0.1
    torch.testing.assert_close(small[3:5], compact(features[3:5], seed=0))
    assert not torch.equal(small, compact(features, seed=1))


def test_class_counts_are_those_of_a_loop():
    generator = torch.Generator().manual_seed(0)
    members = torch.randint(0, 4, (200,), generator=generator)
    labels = torch.randint(0, 3, (200,), generator=generator)
    labels[::5] = IGNORE
    members[members == 2] = 1
    expected = torch.zeros(4, 3, dtype=torch.long)
    for member, label in zip(members, labels):
        if label != IGNORE:
            expected[member, label] += 1
    assert torch.equal(class_counts(members, labels, 4, 3), expected)
    halves = sum(class_counts(members[i::2], labels[i::2], 4, 3) for i in range(2))
    assert torch.equal(halves, expected)


def test_a_cluster_has_its_members_class():
    members, labels = torch.tensor([0, 0, 0, 0, 1, 1]), torch.tensor([2, 2, 2, 0, 1, IGNORE])
    chosen, share = dominant(class_counts(members, labels, 3, 3))
    assert chosen.tolist() == [2, 1, IGNORE]
    assert share.tolist() == [0.75, 1, 0]
