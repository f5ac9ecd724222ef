"""Being asked to stop from outside: SIGTERM of a queue, Ctrl-C of a person. The step ends, the state is saved."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def stopping() -> Iterator[Callable[[], int]]:
    """Inside, the first SIGTERM or SIGINT is only remembered, and what is yielded returns its number from then on; a second acts as
    ever.

    For ``train(..., stop=...)``. Outside of the main thread signals are left alone, and it returns 0.

    Example:
        >>> from pnpsr.train import stopping
        >>> with stopping() as asked:
        ...     print(asked())
        0
    """
    came = list[int]()
    before = dict[int, Any]()

    def remember(number: int, _: FrameType | None) -> None:
        came.append(number)
        signal.signal(number, before[number])

    if threading.current_thread() is threading.main_thread():
        before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        for number in before:
            signal.signal(number, remember)
    try:
        yield lambda: came[0] if came else 0
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
