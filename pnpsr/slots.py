"""Slots: attributes that take any callable, a module or not, also in place of one another."""

from typing import Any, ClassVar

from torch import nn


class Slotted(nn.Module):
    """A module with slots, whose names ``SLOTS`` lists with what they hold: ``{"prior": "v, strength -> v"}``.

    torch refuses a plain function where a module was registered; a slot takes any callable, and None where ``OPTIONAL`` names it.
    """

    SLOTS: ClassVar[dict[str, str]] = {}
    OPTIONAL: ClassVar[tuple[str, ...]] = ()

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; of a slot, what it holds.

        Raises:
            TypeError: something in a slot that cannot be called, or a class, of which no object was made.
        """
        if name in self.SLOTS:
            empty = value is None and name in self.OPTIONAL
            if not empty and not callable(value):
                or_none = ", or None" if name in self.OPTIONAL else ""
                raise TypeError(f"{name} must be callable, {self.SLOTS[name]}{or_none}; got {value!r}")
            if isinstance(value, type):
                raise TypeError(f"{name} must be callable, {self.SLOTS[name]}; got the class {value.__name__}: make one of it")
            if not isinstance(value, nn.Module) and self._modules.get(name) is not None:
                del self._modules[name]
        super().__setattr__(name, value)
