"""What a physics around another one does not change: the grids are those of its base."""

from pnpsr.physics.physics import Physics


class Around:
    """Mixed into a physics that has a ``base``: what else is the base's, and what differs, it says itself."""

    base: Physics

    @property
    def scale(self) -> tuple[int, int]:
        """That of the base."""
        return self.base.scale

    @property
    def position(self) -> tuple[float, float]:
        """That of the base."""
        return self.base.position
