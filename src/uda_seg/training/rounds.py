"""Rounds: from time to time a method looks over all the target's training images, then decides.

What it decides holds for the round, and is part of the method's state, so that a run resumes in the
middle of a round without looking again.
"""


def round_at(step: int, steps: int, rounds: int, first: float) -> int:
    """The round that a step belongs to: 1 .. rounds, or 0 before the first.

    Args:
        step: 0 .. steps - 1.
        steps: of the whole run.
        rounds: in all; they are equally long.
        first: share of the run before the first round.
    """
    start = round(first * steps)
    if rounds == 0 or step < start:
        return 0
    return min(rounds, 1 + (step - start) * rounds // max(1, steps - start))
