"""Follow a run's stream to its end: every entry once and in order, over any number of dropped connections."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from http import HTTPStatus
from typing import cast
from urllib.parse import quote

import httpx

from cody.cli.client import Client, CursorRefusedError, RefusedError, refusal
from cody.cli.sse import Frame, FrameParser
from cody.contract.cursor import Cursor
from cody.contract.errors import CursorProblem
from cody.contract.events import TERMINAL

_READ_TIMEOUT = httpx.Timeout(60.0, connect=5.0)
"""Longer than the server's keepalive (15 s unless told), so that silence this long is a dead connection."""
_PAUSE_FIRST_SECONDS = 0.2
_PAUSE_MAX_SECONDS = 5.0
_HEALS_MAX = 5
"""Trimming may go on while a reader heals; more often than this without one entry between is a fault."""


class Follower:
    """One reader of one run's stream. `cursor` is the last entry seen, which is all the state there is.

    `trouble` is told, once per outage, that the connection is lost, and that it is back.
    """

    def __init__(
        self,
        client: Client,
        run_id: str,
        *,
        start: str | None = None,
        trouble: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.cursor = start
        self._client = client
        self._path = f"/api/runs/{quote(run_id, safe='')}/stream"
        self._trouble = trouble
        self._given = start
        """A cursor that the person gave; it heals differently from one that the stream gave."""
        self._pause = _PAUSE_FIRST_SECONDS
        self._lost = False
        self._ended = False
        self._heals = 0

    async def frames(self) -> AsyncGenerator[Frame | CursorProblem]:
        """Every entry after the start, up to and with the terminal event.

        A CursorProblem among them says that entries before its `earliest_cursor` are gone for good, or (409) that
        the log was replaced; the frames go on from `earliest_cursor`. A service that is away is waited for: whoever
        follows a run has just spoken to it. Raises RefusedError if it will not stream this run.
        """
        while not self._ended:
            try:
                async with aclosing(self._connection()) as frames:
                    async for frame in frames:
                        yield frame
            except CursorRefusedError as error:
                yield self._healed(error)
            except httpx.TransportError as error:
                self._lose(str(error) or type(error).__name__)
            except RefusedError as error:
                if error.problem.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                    raise
                self._lose(error.problem.detail)
            if not self._ended:
                await asyncio.sleep(self._pause)
                self._pause = min(self._pause * 2, _PAUSE_MAX_SECONDS)

    async def _connection(self) -> AsyncGenerator[Frame]:
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": self.cursor} if self.cursor else {})}
        async with self._client.http.stream("GET", self._path, headers=headers, timeout=_READ_TIMEOUT) as answer:
            if answer.status_code == HTTPStatus.NO_CONTENT:
                self._ended = True
                return
            if answer.status_code != HTTPStatus.OK:
                await answer.aread()
                raise refusal(answer)
            self._regain()
            parser = FrameParser()
            async with aclosing(cast("AsyncGenerator[bytes]", answer.aiter_bytes())) as chunks:
                async for chunk in chunks:
                    for frame in parser.feed(chunk):
                        if self._is_new(frame):
                            yield frame
                    if parser.retry_seconds is not None:
                        self._pause = parser.retry_seconds
                    if self._ended:
                        return

    def _is_new(self, frame: Frame) -> bool:
        """Note the frame's place; an entry that was seen before is passed over, which arithmetic tells."""
        if self.cursor and Cursor.parse(frame.cursor).seq <= Cursor.parse(self.cursor).seq:
            return False
        self.cursor = frame.cursor
        self._pause = _PAUSE_FIRST_SECONDS
        self._heals = 0
        self._ended = frame.type in TERMINAL
        return True

    def _healed(self, error: CursorRefusedError) -> CursorProblem:
        """Go on just before the earliest entry that is left. A person's own cursor that never existed is an error."""
        healing = error.healing
        self._heals += 1
        never_was = healing.status == HTTPStatus.CONFLICT and self.cursor == self._given
        if never_was or self._heals > _HEALS_MAX:
            raise error
        before = Cursor.parse(healing.earliest_cursor).seq - 1 if healing.earliest_cursor else 0
        self.cursor = str(Cursor(before)) if before > 0 else None
        return healing

    def _lose(self, why: str) -> None:
        if not self._lost:
            self._trouble(f"connection lost ({why}); trying again")
        self._lost = True

    def _regain(self) -> None:
        if self._lost:
            self._trouble("connected again")
        self._lost = False
