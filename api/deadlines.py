"""One timer for very many that wait for the same length of time."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from itertools import takewhile

_GRAIN = 1 / 60
"""Of the time, in which those that come due are served together: a wake-up each would cost more than what it is for."""


class Deadlines:
    """Calls who was started so many seconds ago, or up to a sixtieth of that more, and not again since."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._times: OrderedDict[Callable[[], None], float] = OrderedDict()
        """When each is due: in this order, as all wait for equally long."""
        self._timer: asyncio.TimerHandle | None = None

    def start(self, due: Callable[[], None]) -> None:
        """Call it once, so many seconds from now."""
        self._times[due] = asyncio.get_running_loop().time() + self._seconds
        self._times.move_to_end(due)
        self._set_timer()

    def stop(self, due: Callable[[], None]) -> None:
        """Do not call it, if it is to be called."""
        self._times.pop(due, None)

    def _set_timer(self) -> None:
        if self._timer is None and self._times:
            first = next(iter(self._times.values()))
            self._timer = asyncio.get_running_loop().call_at(first + self._seconds * _GRAIN, self._ring)

    def _ring(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        ready = list(takewhile(lambda due: self._times[due] <= now, self._times))
        for due in ready:
            if self._times.pop(due, None) is not None:  # nobody stopped it since
                due()
        self._set_timer()
