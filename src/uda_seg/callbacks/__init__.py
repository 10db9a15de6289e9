"""What happens beside a training step: progress, pictures, a stop before a run is lost."""

from uda_seg.callbacks.checkpoints import Checkpoints
from uda_seg.callbacks.finite import FiniteLosses
from uda_seg.callbacks.panels import Panels
from uda_seg.callbacks.progress import ProgressLine
from uda_seg.callbacks.stop import Stop, stop_request

__all__ = ["Checkpoints", "FiniteLosses", "Panels", "ProgressLine", "Stop", "stop_request"]
