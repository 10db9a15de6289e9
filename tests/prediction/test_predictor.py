"""How pictures are put to a network, and what is done meanwhile."""

import math
import threading
import time

import numpy as np
import pytest
import torch
from tiny_run import CLASSES, picture
from torch import Tensor, nn

from uda_seg.evaluation.inference import Inference
from uda_seg.networks.prediction import Prediction
from uda_seg.prediction.ahead import ahead
from uda_seg.prediction.predictor import (
    Frame,
    Predictor,
    answer_frames,
    batches,
    entropy_map,
)

WHOLE = Inference("whole", None, None, flip=False)


class Grey(nn.Module):
    """Four classes by brightness; remembers what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Conv2d(3, 4, 1, bias=False)
        self.seen: list[tuple[torch.Size, torch.dtype]] = []

    def forward(self, image: Tensor, domain: str) -> Prediction:
        assert domain == "target"
        logits = self.linear(image)
        self.seen.append((image.shape, logits.dtype))
        return Prediction(logits, image)


def predictor(size: list[int] | None = None, **changes: object) -> Predictor:
    torch.manual_seed(0)
    usual: dict = {"inference": WHOLE, "size": size, "precision": "32-true"}
    return Predictor(Grey().eval(), CLASSES, **(usual | changes))


def frames(one: Predictor, sizes: list[tuple[int, int]]) -> list[Frame]:
    made = []
    for place, (height, width) in enumerate(sizes):
        image = picture(place, height, width)
        made.append(Frame(place, image, [one.prepare(image)]))
    return made


def test_answers_have_the_pictures_own_size_whatever_the_network_sees() -> None:
    one = predictor([24, 32])
    found = list(answer_frames(frames(one, [(48, 64), (30, 20), (9, 9)]), [one], 2, entropy=True))
    assert [f.place for f, _ in found] == [0, 1, 2]
    assert [a.ids.shape for _, (a,) in found] == [(48, 64), (30, 20), (9, 9)]
    assert [a.entropy.shape for _, (a,) in found] == [(48, 64), (30, 20), (9, 9)]
    assert [shape for shape, _ in one.network.seen] == [(2, 3, 24, 32), (1, 3, 24, 32)]


def test_pictures_of_one_size_share_a_batch() -> None:
    one = predictor()
    sizes = [(8, 8), (8, 8), (8, 8), (8, 16), (8, 16), (8, 8)]
    grouped = [[f.place for f in batch] for batch in batches(frames(one, sizes), 2)]
    assert grouped == [[0, 1], [2], [3, 4], [5]]


def test_half_precision_reaches_the_network_and_changes_little() -> None:
    exact, half = predictor(), predictor(precision="bf16-mixed")
    (a,), (b,) = (
        next(answer_frames(frames(one, [(48, 64)]), [one], 1, entropy=True))[1]
        for one in (exact, half)
    )
    assert [exact.network.seen[0][1], half.network.seen[0][1]] == [torch.float32, torch.bfloat16]
    assert (a.ids == b.ids).mean() > 0.95
    assert 0 < abs(a.entropy - b.entropy).max() < 0.05


def test_windows_reach_the_network() -> None:
    one = predictor(inference=Inference("slide", [16, 16], [16, 16], flip=False))
    whole = predictor()
    (a,), (b,) = (
        next(answer_frames(frames(p, [(32, 48)]), [p], 1, entropy=False))[1] for p in (one, whole)
    )
    assert [shape for shape, _ in one.network.seen] == [(1, 3, 16, 16)] * 6
    np.testing.assert_array_equal(a.ids, b.ids)  # this network looks at single pixels
    assert a.entropy is None


def test_entropy_is_a_share_of_the_largest_possible() -> None:
    logits = torch.zeros(1, 4, 1, 3)
    logits[0, 0, 0, 1] = 1000.0
    logits[0, :2, 0, 2] = 1000.0
    found = entropy_map(logits)[0, 0, 0].tolist()
    assert found == pytest.approx([1, 0, math.log(2) / math.log(4)], abs=1e-6)


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_work_ahead_keeps_order_and_bounds(threads: int) -> None:
    taken, most = [], 4

    def items():
        for number in range(30):
            taken.append(number)
            yield number

    def work(number: int) -> int:
        time.sleep(0.002 * (number % 3))
        return number * number

    for place, result in enumerate(ahead(work, items(), threads, most)):
        assert result == place * place
        assert len(taken) <= place + 1 + most
    assert place == 29


def test_one_thread_works_in_order_and_a_stop_waits_for_it() -> None:
    seen, threads = [], set()

    def work(number: int) -> int:
        time.sleep(0.01)
        seen.append(number)
        threads.add(threading.get_ident())
        return number

    results = ahead(work, range(20), 1, 3)
    assert next(results) == 0
    results.close()
    count = len(seen)
    time.sleep(0.05)
    assert seen == list(range(count))
    assert count < 6
    assert len(threads) == 1


def test_a_failure_is_raised_where_the_result_is_waited_for() -> None:
    with pytest.raises(ZeroDivisionError):
        list(ahead(lambda number: 1 / number, [1, 0, 2], 2, 2))


def test_entropy_is_the_same_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = torch.randn(2, 5, 7, 9, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr("uda_seg.evaluation.selection.CACHED", 300)
    probabilities = logits.softmax(1)
    expected = torch.special.entr(probabilities).sum(1, keepdim=True) / math.log(5)
    torch.testing.assert_close(entropy_map(logits), expected)
