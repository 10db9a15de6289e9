"""Samples follow from the step's index, never from a state."""

from itertools import islice

import numpy as np

from uda_seg.data.feeding.sampling import EveryNth, StepSampler, generator, sample_index


def test_an_epoch_shows_every_sample_once_and_the_next_in_another_order() -> None:
    first, second = ([sample_index(e * 50 + i, 50, 0, "source") for i in range(50)] for e in (0, 1))
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second


def test_domains_and_seeds_draw_apart() -> None:
    orders = [
        [sample_index(i, 50, seed, stream) for i in range(50)]
        for seed, stream in ((0, "source"), (0, "target"), (1, "source"))
    ]
    assert orders[0] != orders[1]
    assert orders[0] != orders[2]
    assert generator(0, "source", 5).random() != generator(0, "target", 5).random()
    assert generator(0, "source", 5).random() == generator(0, "source", 5).random()


def test_a_run_resumes_at_its_step() -> None:
    whole = list(islice(StepSampler(3, lambda: 0), 12))
    assert list(islice(StepSampler(3, lambda: 5), 7)) == whole[5:]


def test_two_ranks_see_what_one_process_sees() -> None:
    one = list(islice(StepSampler(4, lambda: 0), 5))
    ranks = [list(islice(StepSampler(2, lambda: 0, rank, 2), 5)) for rank in (0, 1)]
    assert [a + b for a, b in zip(*ranks, strict=True)] == one


def test_evaluation_shares_hold_every_sample_once() -> None:
    shares = [list(EveryNth(7, rank, 3)) for rank in range(3)]
    assert np.array_equal(np.sort(sum(shares, [])), np.arange(7))
    assert [len(EveryNth(7, rank, 3)) for rank in range(3)] == [len(s) for s in shares]
