"""What Lightning and torch warn of although it is meant: in one place, each with its reason."""

import logging
import warnings

KNOWN = (
    # Frozen batch norm is a policy here, not an oversight.
    ("Found .* in eval mode at the start of training", Warning),
    # Lightning 2.6 asks torch the old way (pytorch-lightning issue 21326).
    (".*isinstance.treespec, LeafSpec.*", FutureWarning),
    # Samples follow from the step's number (sampling.py): the loader has no state to restore.
    ("You're resuming from a checkpoint that ended before the epoch ended", Warning),
)


def silence_known_warnings() -> None:
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # its tips and greetings
    for message, category in KNOWN:
        warnings.filterwarnings("ignore", message, category)
