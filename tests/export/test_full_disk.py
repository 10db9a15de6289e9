"""An export onto a full disk is an error that can be answered; torch's own writer aborts."""

from pathlib import Path

import pytest
import torch

from uda_seg.errors import DataError
from uda_seg.export.checked_files import saying_why
from uda_seg.export.formats import TorchExport

FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="only Linux has a device that is always full")
def test_a_full_disk_is_said_and_does_not_abort() -> None:
    program = torch.export.export(torch.nn.Linear(2, 2), (torch.zeros(1, 2),))
    with pytest.raises(DataError, match="cannot be written.*No space"), saying_why("x", {}):
        TorchExport().write(program, FULL, "logits", {})
