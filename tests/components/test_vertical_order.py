"""What the order model is shown, what it is asked, and that it learns what stands above what."""

import pytest
import torch
import torch.nn.functional as F

from uda_seg.batch import IGNORE, NO_SUPERPIXEL
from uda_seg.components.image_columns import Columns, source_columns, target_columns
from uda_seg.components.vertical_order import VerticalOrder

CLASSES, SKY, BUILDING, ROAD = 3, 0, 1, 2
HEIGHT, WIDTH, SEGMENTS = 32, 48, 24  # pieces of 8 pixels


def model(columns: int = 6, masked_share: float = 0.25) -> VerticalOrder:
    torch.manual_seed(0)
    return VerticalOrder(CLASSES, 32, columns, SEGMENTS, masked_share)


def streets(count: int, generator: torch.Generator) -> torch.Tensor:
    """(B, H, W): sky above building above road, each of any height, column by column."""
    edges = torch.randint(4, HEIGHT - 4, (count, 2, WIDTH), generator=generator).sort(1).values
    rows = torch.arange(HEIGHT)[:, None]
    return (rows >= edges[:, :1]).long() + (rows >= edges[:, 1:])


def one_column(columns: Columns, row: int) -> Columns:
    """Without padding."""
    length = int(columns.lengths[row])
    return Columns(
        columns.classes[row : row + 1, :length],
        columns.heights[row : row + 1, :length],
        columns.lengths[row : row + 1],
        columns.superpixels[row : row + 1, :length],
    )


@pytest.mark.parametrize("share", [0, 1.1])
def test_a_share_that_hides_nothing_or_too_much_is_refused(share):
    with pytest.raises(ValueError, match=f"masked_share: {share} "):
        model(masked_share=share)


def test_a_hidden_class_is_not_seen():
    columns = source_columns(streets(2, torch.Generator().manual_seed(0)), None, 6, SEGMENTS)
    masked = torch.zeros_like(columns.classes, dtype=torch.bool)
    masked[:, 1] = True
    other = Columns(**vars(columns))
    other.classes = columns.classes.clone()
    other.classes[:, 1] = (columns.classes[:, 1] + 1) % CLASSES
    order = model()
    assert torch.equal(order(columns, masked), order(other, masked))
    assert not torch.equal(order(columns, ~masked), order(other, ~masked))


def test_the_first_answer_depends_on_the_last_piece():
    columns = source_columns(streets(1, torch.Generator().manual_seed(0)), None, 1, SEGMENTS)
    other = Columns(**vars(columns))
    other.classes = columns.classes.clone()
    other.classes[:, -1] = SKY
    nothing = torch.zeros_like(columns.classes, dtype=torch.bool)
    order = model()
    assert not torch.equal(order(columns, nothing)[:, 0], order(other, nothing)[:, 0])


def test_loss_is_that_of_a_loop_over_hidden_pieces():
    label = streets(2, torch.Generator().manual_seed(0))
    label[:, 10:14, :20] = IGNORE
    order = model()
    torch.manual_seed(5)
    loss = order.loss(label)
    columns = source_columns(label, None, 6, SEGMENTS)
    torch.manual_seed(5)
    hidden = (torch.rand(columns.classes.shape) < 0.25).tolist()
    losses, classes = [], columns.classes.tolist()
    for row in range(12):
        alone = one_column(columns, row)
        length = int(alone.lengths)
        masked = torch.tensor([hidden[row][:length]])
        logits = order(alone, masked)[0]
        for place in range(length):
            if hidden[row][place] and classes[row][place] != IGNORE:
                losses.append(F.cross_entropy(logits[place], torch.tensor(classes[row][place])))
    torch.testing.assert_close(loss, torch.stack(losses).mean())
    assert any(IGNORE in row[: int(n)] for row, n in zip(classes, columns.lengths))


def test_loss_of_a_label_without_any_class_is_zero():
    loss = model().loss(torch.full((1, HEIGHT, WIDTH), IGNORE))
    loss.backward()
    assert loss == 0


def test_loss_knows_the_crop_s_window():
    label = streets(1, torch.Generator().manual_seed(0))
    losses = []
    for window in (None, torch.tensor([[0.0, 0, 1, 1]]), torch.tensor([[0.0, 0, 0.5, 0.5]])):
        torch.manual_seed(0)
        losses.append(model().loss(label, window).item())
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.parametrize(("share", "passes"), [(0.25, 4), (0.4, 2), (0.9, 1)])
def test_probabilities_are_those_of_passes_over_single_columns(share, passes):
    label = streets(2, torch.Generator().manual_seed(1))
    label[:, 10:14, :20] = IGNORE
    columns = source_columns(label, None, 6, SEGMENTS)
    order = model(masked_share=share)
    found = order.probabilities(columns)
    for row in range(12):
        alone = one_column(columns, row)
        length = int(alone.lengths)
        for place in range(length):
            masked = (torch.arange(length) % passes == place % passes)[None]
            answer = order(alone, masked).softmax(2)[0, place]
            truth = int(alone.classes[0, place])
            expected = answer[truth] if truth != IGNORE else torch.tensor(1.0)
            torch.testing.assert_close(found[row, place], expected.detach())
        assert (found[row, length:] == 1).all()


def test_a_superpixel_s_probability_is_the_mean_over_its_crossings():
    generator = torch.Generator().manual_seed(0)
    superpixels = torch.randint(-1, 10, (2, 8, 12), generator=generator)
    superpixels = superpixels.repeat_interleave(4, 1).repeat_interleave(4, 2)
    classes = torch.randint(0, CLASSES, (2, 14), generator=generator)
    classes[:, 4] = IGNORE
    superpixels[0, 30:, 47] = 12  # between two columns
    order = model()
    columns = target_columns(classes, superpixels, 6)
    each = order.probabilities(columns)
    crossings: dict[tuple[int, int], list[float]] = {}
    for row in range(12):
        for place in range(int(columns.lengths[row])):
            number = int(columns.superpixels[row, place])
            if number != NO_SUPERPIXEL and number != 4:
                crossings.setdefault((row // 6, number), []).append(float(each[row, place]))
    found = order.probabilities_of(classes, superpixels)
    assert found.shape == (2, 14)
    for image in range(2):
        for number in range(14):
            values = crossings.get((image, number), [1.0])
            assert float(found[image, number]) == pytest.approx(sum(values) / len(values))
    assert (0, 12) not in crossings
    assert len(crossings) > 12


def test_learns_what_stands_above_what():
    order = model(columns=12)
    optimizer = torch.optim.Adam(order.parameters(), lr=0.01)
    generator = torch.Generator().manual_seed(0)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        losses.append(order.loss(streets(4, generator)))
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < 0.5 * losses[0]
    tall, wide = HEIGHT // 8, WIDTH // 8
    superpixels = torch.arange(tall * wide).view(1, tall, wide)
    classes = torch.tensor([SKY, BUILDING, ROAD, ROAD]).repeat_interleave(wide)[None]
    blocks = superpixels.repeat_interleave(8, 1).repeat_interleave(8, 2)
    logical = order.probabilities_of(classes, blocks)
    illogical = classes.clone()
    illogical[0, 3 * wide + 2] = SKY  # below road
    broken = order.probabilities_of(illogical, blocks)
    assert broken[0, 3 * wide + 2] < 0.1
    assert (logical[0, [0, 3 * wide + 2]] > 0.9).all()
    untouched = torch.arange(tall * wide) % wide != 2
    assert torch.equal(broken[0, untouched], logical[0, untouched])
