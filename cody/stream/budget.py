"""What all rings of a process may hold together."""

from collections import OrderedDict
from typing import Protocol

HUB_BYTES = 256 << 20


class Holder(Protocol):
    """Who can let go of all that it holds."""

    def forget(self) -> None:
        """Let go; the budget knows already."""
        ...


class Budget:
    """Counts what is held; when it is too much, those who had no news for longest let go first.

    Their followers have had the time to get it: who has not reads it from the log.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit = limit_bytes
        self.size = 0
        self._held: OrderedDict[Holder, int] = OrderedDict()
        """The one with the latest news last."""

    def hold(self, holder: Holder, size: int) -> None:
        """`holder` has news, and holds so many bytes with it, which stay in any case."""
        self.release(holder)
        self.size += size
        self._held[holder] = size
        while self.size > self.limit and len(self._held) > 1:
            quietest, its = self._held.popitem(last=False)
            self.size -= its
            quietest.forget()

    def release(self, holder: Holder) -> None:
        """It holds nothing any more."""
        self.size -= self._held.pop(holder, 0)
