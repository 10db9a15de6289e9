"""Values that may each be given, but not together."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def complaints(trainer: Mapping[str, Any], tried: Mapping[str, Sequence[Any]]) -> Iterator[str]:
    """One line for each contradiction.

    Args:
        trainer: of a run's config, resolved.
        tried: all values of the keys on the command line, of which a sweep gives several.
    """
    for size in _values("batch_size", trainer, tried):
        for count in _values("accumulate", trainer, tried):
            if size % count:
                fits = ", ".join(str(n) for n in range(1, size + 1) if size % n == 0)
                yield (
                    f"trainer.accumulate={count}: a batch of trainer.batch_size={size} is not cut "
                    f"into {count} equal pieces; choose one of {fits}, or another batch size"
                )


def _values(key: str, trainer: Mapping[str, Any], tried: Mapping[str, Sequence[Any]]) -> list[int]:
    given = tried.get(f"trainer.{key}") or [trainer.get(key)]
    return [value for value in given if isinstance(value, int)]
