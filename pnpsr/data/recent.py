"""What was used last stays in memory, up to so many bytes."""

from collections import OrderedDict
from collections.abc import Callable

from torch import Tensor


class Recent:
    """Tensors by number, the ones that were not used for longest giving way.

    Args:
        room: bytes in all; what is larger is never kept.
    """

    def __init__(self, room: int) -> None:
        self.room, self.kept = room, OrderedDict[int, Tensor]()
        self.size = 0

    def get(self, index: int, make: Callable[[int], Tensor]) -> Tensor:
        """Tensor ``index``, made if it is not there."""
        if index in self.kept:
            self.kept.move_to_end(index)
            return self.kept[index]
        made = make(index)
        if _bytes(made) <= self.room:
            self.kept[index], self.size = made, self.size + _bytes(made)
            while self.size > self.room:
                self.size -= _bytes(self.kept.popitem(last=False)[1])
        return made


def _bytes(t: Tensor) -> int:
    return t.numel() * t.element_size()
