"""Whole, sliding and mirrored prediction."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from uda_seg.errors import ConfigError
from uda_seg.evaluation.inference import Inference, spans
from uda_seg.networks.prediction import Prediction


class PerPixel(nn.Module):
    """Each pixel's logits follow from that pixel alone."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[tuple[int, ...]] = []

    def forward(self, image: torch.Tensor, domain: str) -> Prediction:
        assert domain == "target"
        self.sizes.append(tuple(image.shape[-2:]))
        logits = torch.stack([image[:, 0], image[:, 1] ** 2, image.sum(1).sin()], 1)
        return Prediction(logits, logits)


class ColumnIndex(nn.Module):
    """Knows where in its input a pixel lies, so mirroring matters."""

    def forward(self, image: torch.Tensor, domain: str) -> Prediction:
        index = torch.arange(image.shape[3]).float().expand(len(image), 1, *image.shape[-2:])
        return Prediction(torch.cat([index, image[:, :1]], 1), index)


WHOLE = Inference("whole", None, None, False)


@pytest.mark.parametrize("size", [(17, 23), (8, 8), (5, 40), (8, 9), (3, 4)])
@pytest.mark.parametrize("stride", [(8, 8), (3, 5), (7, 1)])
def test_sliding_equals_whole_for_a_per_pixel_network(size, stride):
    image = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    network = PerPixel()
    slid = Inference("slide", [8, 8], list(stride), False)(network, image)
    assert set(network.sizes) == {(min(8, size[0]), min(8, size[1]))}
    torch.testing.assert_close(slid, WHOLE(PerPixel(), image))


def test_overlaps_are_averaged():
    image = torch.zeros(1, 3, 2, 6)
    logits = Inference("slide", [2, 4], [2, 2], False)(ColumnIndex(), image)
    # Windows 0..3 and 2..5: columns 2 and 3 are seen at places 2 and 0, 3 and 1.
    assert logits[0, 0, 0].tolist() == [0, 1, 1, 2, 2, 3]


@pytest.mark.parametrize("size", [(17, 23), (8, 8), (5, 40), (8, 9)])
@pytest.mark.parametrize("stride", [(8, 8), (3, 5), (7, 1)])
def test_overlaps_are_averaged_as_sums_over_counts(size, stride):
    class ByPlace(nn.Module):
        def forward(self, image: torch.Tensor, domain: str) -> Prediction:
            logits = image.flatten(2).cumsum(2).view(image.shape)
            return Prediction(logits, logits)

    image = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    total, times = torch.zeros_like(image), torch.zeros(size)
    for row in spans(size[0], 8, stride[0]):
        for column in spans(size[1], 8, stride[1]):
            total[..., row, column] += ByPlace()(image[..., row, column], "target").logits
            times[row, column] += 1
    slid = Inference("slide", [8, 8], list(stride), False)(ByPlace(), image)
    assert torch.equal(slid, total / times)


@pytest.mark.parametrize("length", range(1, 30))
@pytest.mark.parametrize(("window", "stride"), [(8, 8), (8, 5), (7, 1)])
def test_windows_cover_every_pixel_and_none_more_than_needed(length, window, stride):
    found = list(spans(length, window, stride))
    assert {i for span in found for i in range(span.start, span.stop)} == set(range(length))
    assert all(span.stop - span.start == min(window, length) for span in found)
    assert len(found) == len({span.start for span in found})
    assert found[-1].stop == length


def test_flip_averages_with_the_mirrored_image():
    image = torch.rand(1, 3, 2, 5)
    logits = Inference("whole", None, None, True)(ColumnIndex(), image)
    assert (logits[0, 0] == 2).all()  # index and 4 - index
    torch.testing.assert_close(logits[0, 1], image[0, 0])


def test_probabilities_are_averaged_where_asked():
    image, index = torch.zeros(1, 3, 2, 6), torch.arange(6.0)
    slid = Inference("slide", [2, 4], [2, 2], False, mean_of="probabilities")
    each = torch.tensor([[0.0, 1, 2, 3, 2, 3], [0, 1, 0, 1, 2, 3]]).sigmoid()
    torch.testing.assert_close(slid(ColumnIndex(), image)[0, 0, 0].exp(), each.mean(0))
    flipped = Inference("whole", None, None, True, None, [1.0, 1.0], "probabilities")
    mean = torch.stack([index.sigmoid(), (5 - index).sigmoid()]).mean(0)
    torch.testing.assert_close(flipped(ColumnIndex(), image)[0, 0, 0].exp(), mean)


@pytest.mark.parametrize("align_corners", [False, True])
def test_classes_come_at_the_label_s_size(align_corners):
    logits = torch.randn(2, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    inference = Inference("whole", None, None, False, align_corners)
    found = inference.predict(logits, torch.Size((11, 15)))
    expected = F.interpolate(logits, (11, 15), mode="bilinear", align_corners=align_corners)
    assert torch.equal(found, expected.argmax(1).byte())
    assert torch.equal(inference.predict(logits, (5, 7)), logits.argmax(1).byte())


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("size", [(32, 48), (31, 17), (8, 12), (160, 192)])
def test_of_equal_logits_the_first_class_is_taken(layout, size):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randint(3, (2, 7, 8, 12), generator=generator).float()
    logits = logits.contiguous(memory_format=layout)
    found = WHOLE.predict(logits, size)
    expected = F.interpolate(logits, size, mode="bilinear", align_corners=False).argmax(1)
    assert torch.equal(found, expected.byte())
    assert found.unique().numel() == 7


def test_maps_of_all_classes_never_stand_side_by_side():
    logits = torch.randn(1, 9, 8, 16, generator=torch.Generator().manual_seed(0))
    with torch.profiler.profile(profile_memory=True) as profile:
        WHOLE.predict(logits, (128, 256))
    largest = max(event.self_cpu_memory_usage / event.count for event in profile.key_averages())
    assert 0 < largest <= 2 * 4 * 128 * 256


def test_up_sampling_aligns_corners_as_the_network_does():
    network, image = PerPixel(), torch.rand(1, 3, 4, 5)
    network.align_corners = True
    inference = Inference("whole", None, None, False)
    inference(network, image)
    logits = torch.randn(1, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    expected = F.interpolate(logits, (37, 41), mode="bilinear", align_corners=True).argmax(1).byte()
    assert torch.equal(inference.predict(logits, (37, 41)), expected)
    inference(PerPixel(), image)
    assert not torch.equal(inference.predict(logits, (37, 41)), expected)


@pytest.mark.parametrize("flip", [False, True])
def test_scales_are_averaged(flip):
    torch.manual_seed(0)
    network = nn.Conv2d(3, 4, 3, padding=1)
    network.forward = lambda image, domain, forward=network.forward: SimpleNamespace(
        logits=forward(image)
    )
    image = torch.rand(2, 3, 24, 40)
    answer = Inference("whole", None, None, flip, None, [0.5, 1.0, 1.5])(network, image)
    each = []
    for scale in (0.5, 1.0, 1.5):
        size = [int(24 * scale), int(40 * scale)]
        seen = F.interpolate(image, size, mode="bilinear", antialias=scale < 1)
        logits = Inference("whole", None, None, flip)(network, seen)
        each.append(F.interpolate(logits, (24, 40), mode="bilinear"))
    torch.testing.assert_close(answer, torch.stack(each).mean(0))


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("windows", None, None, False), "choose whole or slide"),
        (("slide", None, [4, 4], False), "inference.window: inference.mode=slide needs it"),
        (("slide", [4, 4], None, False), "inference.stride"),
        (("slide", [4, 4], [4, 5], False), "no answer"),
        (("slide", [4, 4, 4], [4, 4], False), "height, width"),
        (("slide", 4, 0, False), "1 or more"),
        (("whole", None, None, False, None, [1.0, 0.0]), "inference.scales"),
        (("whole", None, None, False, None, []), "inference.scales"),
        (("whole", None, None, False, None, [1.0], "logit"), "choose logits or probabilities"),
    ],
)
def test_mistakes_are_named(arguments, complaint):
    with pytest.raises(ConfigError, match=complaint):
        Inference(*arguments)
