"""Which class stands above which: a model of columns, learnt from labels, that finds the illogical.

RPT's spatial logic (Zhang et al., CVPR 2020, arXiv:2006.06570), as it is remembered: an LSTM
encoder-decoder reconstructs columns of which some entries are masked. Ours: what an entry holds,
that the decoder reads the masked column too, rather than its own answers, and how answers of
several columns become one of a superpixel.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from uda_seg.batch import IGNORE, divisor, longest, random_numbers
from uda_seg.components.image_columns import Columns, source_columns, target_columns


class VerticalOrder(nn.Module):
    """
    Args:
        classes: of the label space.
        hidden: numbers of an LSTM's state.
        columns: of each image, evenly spread, that are looked at.
        segments: superpixels of a target image, which tells how high pieces of the source are.
        masked_share: of the entries that training hides, and each pass of a verdict.
    """

    def __init__(
        self, classes: int, hidden: int, columns: int, segments: int, masked_share: float
    ) -> None:
        super().__init__()
        if not 0 < masked_share <= 1:
            raise ValueError(f"masked_share: {masked_share} is not above 0 and at most 1")
        self.classes, self.columns, self.segments = classes, columns, segments
        self.masked_share = masked_share
        width = classes + 2  # and whether the class is hidden, and the height
        self.encoder = nn.LSTM(width, hidden, batch_first=True)
        self.decoder = nn.LSTM(width, hidden, batch_first=True)
        self.head = nn.Linear(hidden, classes)

    def forward(self, columns: Columns, masked: Tensor) -> Tensor:
        """(N, L, C) logits of every piece's class; those behind a column's end mean nothing.

        The decoder starts from what the encoder remembers of the whole column, and reads it again.

        Args:
            columns: N of at most L pieces.
            masked: (N, L) bool: pieces whose class is hidden, besides the unknown ones.
        """
        told = (columns.classes != IGNORE) & ~masked
        one_hot = F.one_hot(columns.classes.where(told, 0), self.classes) * told[:, :, None]
        # Heights are in multiples of a superpixel's, or next to ones they would not be seen (ours).
        heights = columns.heights * self.segments**0.5
        entries = torch.cat([one_hot, ~told[:, :, None], heights[:, :, None]], 2)
        entries = entries.to(self.head.weight.dtype)
        with torch.autocast(entries.device.type, enabled=False):
            packed = pack_padded_sequence(
                entries, columns.lengths.cpu(), batch_first=True, enforce_sorted=False
            )
            _, state = self.encoder(packed)
            read, _ = self.decoder(packed, state)
            answers, _ = pad_packed_sequence(read, batch_first=True, total_length=told.shape[1])
            return self.head(answers).float()

    def loss(self, label: Tensor, window: Tensor | None = None) -> Tensor:
        """Mean cross-entropy of hidden pieces, drawn at random; 0 where there are none.

        Args:
            label: (B, H, W) long, of source images or crops.
            window: (B, 4) of the crops, as in `Source`.
        """
        columns = source_columns(label, window, self.columns, self.segments)
        count, length = columns.classes.shape
        # Drawn on the CPU: the same on every device.
        drawn = random_numbers(count, longest(length, label.device))[:, :length] < self.masked_share
        masked = drawn.to(label.device) & (columns.classes != IGNORE)
        truth = columns.classes.masked_fill(~masked, IGNORE).flatten()
        logits = self(columns, masked).flatten(0, 1)
        loss = F.cross_entropy(logits, truth, ignore_index=IGNORE, reduction="sum")
        return loss / divisor(masked.sum())

    @torch.no_grad()
    def probabilities(self, columns: Columns) -> Tensor:
        """(N, L) float: of each piece's class given the others of its column; 1 where unknown.

        Every k-th piece is hidden in each of k = round(1 / masked_share) passes, which are taken
        at once.
        """
        passes = max(1, round(1 / self.masked_share))
        shape = columns.classes.shape
        turns = torch.arange(shape[1], device=columns.classes.device) % passes
        masked = torch.stack([(turns == number).expand(shape) for number in range(passes)])
        logits = self(_repeat(columns, passes), masked.flatten(0, 1))
        turn = turns[:, None].expand(1, *shape, self.classes)
        answers = logits.view(passes, *shape, -1).gather(0, turn).squeeze(0)
        known = columns.classes != IGNORE
        classes = columns.classes.where(known, 0)
        found = answers.softmax(2).gather(2, classes[:, :, None]).squeeze(2)
        return found.where(known, 1)

    @torch.no_grad()
    def probabilities_of(self, classes: Tensor, superpixels: Tensor) -> Tensor:
        """(B, S) float: of each superpixel's class, the mean over the columns that cross it.

        1 where none does, and where the class is unknown: nothing speaks against it.

        Args:
            classes: (B, S) long, or IGNORE.
            superpixels: (B, H, W) long, of full images, numbers below S, or NO_SUPERPIXEL.
        """
        columns = target_columns(classes, superpixels, self.columns)
        found = self.probabilities(columns).flatten()
        batch, most = classes.shape
        images = torch.arange(batch, device=classes.device)
        images = images.repeat_interleave(len(columns.classes) // batch)[:, None]
        places = (images * most + columns.superpixels).flatten()
        counted = (columns.classes != IGNORE).flatten()
        sums = found.new_zeros(batch * most).index_add_(0, places[counted], found[counted])
        crossings = torch.bincount(places[counted], minlength=batch * most)
        return (sums / crossings).where(crossings > 0, 1).view(batch, most)


def _repeat(columns: Columns, times: int) -> Columns:
    """All columns, then all of them again."""
    return Columns(
        columns.classes.repeat(times, 1),
        columns.heights.repeat(times, 1),
        columns.lengths.repeat(times),
        columns.superpixels.repeat(times, 1),
    )
