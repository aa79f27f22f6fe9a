"""The frame of every driver: reads the order, hears the interrupt, and is the only one that writes to stdout."""

import asyncio
import os
import sys
import traceback
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

from cody.agents.drivers.speech import Begin, End, Line, Order, Say
from cody.contract.payloads import Payload

MAX_LINE = 64 << 20
"""Bytes of an order: a prompt may be large."""


class Speech:
    """The way out. What an SDK or its CLI prints by itself goes to stderr."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)

    def begin(self, model: str | None) -> None:
        """The agent is up; events may be said from now on."""
        self._line(Line(begin=Begin(model=model)))

    def emit(self, type_: str, payload: Payload) -> None:
        """An event; `type_` is a key of `cody.contract.events.PAYLOADS`."""
        self._line(Line(say=Say(type=type_, payload=payload.model_dump(mode="json", by_alias=True))))

    def keep(self, text: str) -> None:
        """Text for the kept output."""
        self._line(Line(keep=text))

    def remember(self, **carry: Any) -> None:
        """What the next attempt is to know if this one is lost."""
        self._line(Line(remember=carry))

    def end(self, end: End) -> None:
        """The last word."""
        self._line(Line(end=end))

    def _line(self, line: Line) -> None:
        self._out.write(line.model_dump_json().encode() + b"\n")
        self._out.flush()


Turn = Callable[[Order, Speech, asyncio.Event], Awaitable[End]]
"""Does a turn; the event is set when it is to be interrupted."""


def run(turn: Turn) -> None:
    """Be a driver: the whole life of the process."""
    asyncio.run(_live(turn, Speech()))


async def _live(turn: Turn, speech: Speech) -> NoReturn:
    """Do the turn and leave at once: an SDK's threads that still wait for their CLI are nobody's concern any more."""
    code = 1
    try:
        await _run(turn, speech)
        code = 0
    except BaseException:  # noqa: BLE001  # the process ends here, whatever it was
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


async def _run(turn: Turn, speech: Speech) -> None:
    reader = asyncio.StreamReader(limit=MAX_LINE)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    order = Order.model_validate_json(await reader.readline())
    interrupt = asyncio.Event()

    async def hear() -> None:
        await reader.read()
        interrupt.set()

    hearing = asyncio.create_task(hear())
    try:
        speech.end(await turn(order, speech, interrupt))
    finally:
        hearing.cancel()
