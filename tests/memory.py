"""How much memory something takes."""

import tracemalloc
from collections.abc import Callable


def peak(work: Callable[[], object]) -> int:
    """Bytes that Python has at most at once for it: the least of three times.

    What comes once is not counted: modules that a first use imports, tables of the whole process that happen to grow meanwhile.
    """
    found = list[int]()
    for _ in range(3):
        tracemalloc.start()
        try:
            work()
            found.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    return min(found)
