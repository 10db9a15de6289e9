"""Work done in threads while others are waited for: reading before, writing behind the network."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ahead(
    work: Callable[[Item], Result], items: Iterable[Item], threads: int, most: int
) -> Generator[Result, None, None]:
    """The results in the items' order. Closed early, it waits for what is under way.

    Args:
        work: OpenCV, PyAV and torch let other threads run meanwhile.
        items: taken one by one, in the caller's thread.
        threads: 0 works in the caller's thread; with 1, the work itself is done in order.
        most: items that are taken before the first one's result is; bounds the memory.
    """
    if threads == 0:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(threads) as executor:
        pending: deque[Future[Result]] = deque()
        try:
            for item in items:
                pending.append(executor.submit(work, item))
                if len(pending) > most:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
