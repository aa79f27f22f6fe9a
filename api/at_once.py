"""Work that seldom has to wait is done where it comes up, without a task, which would cost more than the work."""

import asyncio
from collections.abc import Coroutine
from typing import Any


def run_at_once(work: Coroutine[Any, Any, None]) -> "asyncio.Future[None] | None":
    """Do what can be done without waiting; the rest, or the error, is in what is given, None if that was all.

    Until it waits first, the work is a part of whoever calls: it has no task, and so no timeouts, of its own.
    """
    loop = asyncio.get_running_loop()
    try:
        waits_for = work.send(None)
    except StopIteration:
        return None
    except Exception as error:  # noqa: BLE001  # not lost: it is told as that of a task is
        failed: asyncio.Future[None] = loop.create_future()
        failed.set_exception(error)
        return failed
    return loop.create_task(_Begun(work, waits_for))


class _Begun(Coroutine[Any, Any, None]):
    """A coroutine that waits already: a task that takes it up is told first what for."""

    __slots__ = ("_told", "_waits_for", "_work")

    def __init__(self, work: Coroutine[Any, Any, None], waits_for: Any) -> None:
        self._work, self._waits_for, self._told = work, waits_for, False

    def send(self, value: Any) -> Any:
        if self._told:
            return self._work.send(value)
        self._told = True
        return self._waits_for

    def throw(self, *error: Any) -> Any:
        return self._work.throw(*error)

    def close(self) -> None:
        self._work.close()

    def __await__(self) -> Any:
        return self
