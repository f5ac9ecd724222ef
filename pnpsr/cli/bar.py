"""A progress bar for work that tells how far it is only now and then."""

from threading import Event, Thread

from tqdm import tqdm

EVERY = 2.0  # seconds between two looks at the clock


class Bar:
    """A progress bar that follows ``progress(what, done, total)`` from one thing to the next, whose clock never stands still."""

    def __init__(self, name: str, *, hidden: bool) -> None:
        self.name, self.what, self.over = name, "", Event()
        self.bar = tqdm(total=1, desc=name, disable=hidden, leave=False, unit="step")
        self.clock = Thread(target=self._tick, daemon=True)

    def __enter__(self) -> "Bar":
        if not self.bar.disable:
            self.clock.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        if self.clock.is_alive():
            self.clock.join()
        self.bar.close()

    def _tick(self) -> None:
        while not self.over.wait(EVERY):
            self.bar.refresh()

    def at(self, what: str, done: int, total: int) -> None:
        """Show how far ``what`` is."""
        if self.bar.disable:
            return
        if what != self.what:
            self.what = what
            self.bar.set_description_str(f"{self.name}, {what}", refresh=False)
        if self.bar.total != total:
            self.bar.reset(total)
        self.bar.n = done
        self.bar.refresh()
