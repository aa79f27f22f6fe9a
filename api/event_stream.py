"""A stream that is open: frames as they come, keepalives in silence, and its end."""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any, cast

from litestar.types import Message, Receive, Send

from api.at_once import run_at_once
from api.outages import PATIENCE_SECONDS
from api.problems import ProblemError
from api.standing import UNKNOWN, Wish, find_place_soon
from api.state import Door
from cody.contract.cursor import Cursor
from cody.metrics import STREAMS_CLOSED, STREAMS_OPENED
from cody.stream.chunk import Chunk, chunks_of
from cody.stream.connection import RedisGone
from cody.stream.entry import Entry
from cody.stream.follower import Follower, Trimmed

EVENT_STREAM = "text/event-stream"
KEEPALIVE = b": keepalive\n\n"
RETRY = b"retry: 1000\n"
_AWAY_SECONDS = 0.5
_HEADERS = [
    (b"content-type", EVENT_STREAM.encode()),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
]


class EventStream:
    """One client's stream, as an answer.

    Its connection's task does no more than wait for the client to go. What is to be sent is sent at once by whoever
    brings the news, and by a task only as long as the client reads slowly or the place has to be looked up: most
    streams are silent most of the time, and a client that reads slowly holds up its own frames and nobody else's.
    """

    __slots__ = (
        "_after", "_connection", "_door", "_ended", "_failure", "_first", "_follower", "_retry", "_send", "_sending",
        "_silent", "_stirred", "_timed_out", "_wish",
    )  # fmt: skip

    def __init__(self, wish: Wish, door: Door, after: int | None, first: bytes = b"") -> None:
        """`after` is the place, None if it cannot be told as yet; `first` a frame that comes before all others."""
        self._wish = wish
        self._door = door
        self._after = after
        self._first = first
        self._retry = RETRY
        self._follower: Follower | None = None
        self._sending: asyncio.Future[None] | None = None
        self._failure: BaseException | None = None
        self._stirred = self._silent = self._timed_out = self._ended = False

    async def __call__(self, receive: Receive, send: Send) -> None:
        """Send all of it; return when it has come to its end, or the client is gone."""
        self._send = send
        self._connection = cast("asyncio.Task[None]", asyncio.current_task())
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        self._door.silence.start(self._fall_silent)
        self._door.lifetime.start(self._time_out)
        try:
            if self._after is not None:
                self._follow(self._after)
            self._stir()
            while (await receive())["type"] != "http.disconnect":
                pass  # the end of the request
        except asyncio.CancelledError:
            if self._failure is None:
                raise
            raise self._failure from None
        finally:
            self._leave()

    def _follow(self, after: int) -> None:
        self._follower = self._door.hub.join(self._wish.run_id, after, self._stir)
        STREAMS_OPENED.inc()

    def _leave(self) -> None:
        self._ended = True
        self._door.silence.stop(self._fall_silent)
        self._door.lifetime.stop(self._time_out)
        if self._follower is not None:
            self._door.hub.leave(self._follower)
            STREAMS_CLOSED.inc()
        if self._sending is not None:
            self._sending.cancel()

    def _fall_silent(self) -> None:
        self._silent = True
        if self._sending is None and not self._ended:
            self._begin(self._say(KEEPALIVE))  # there is nothing else, or it would be on its way

    def _time_out(self) -> None:
        self._timed_out = True
        self._stir()

    def _stir(self) -> None:
        """There may be something to send."""
        self._stirred = True
        if self._sending is None and not self._ended:
            self._begin(self._send_what_is_there())

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._sending = run_at_once(work)
        if self._sending is not None:
            self._sending.add_done_callback(self._sent)

    def _sent(self, sending: "asyncio.Future[None]") -> None:
        """A failure is the connection's, which waits for its client."""
        self._sending = None
        if not sending.cancelled() and (error := sending.exception()) is not None:
            self._failure = error
            self._connection.cancel()
        elif self._stirred:
            self._stir()

    async def _send_what_is_there(self) -> None:
        if self._follower is None or not self._follower.is_live:
            await asyncio.sleep(0)  # as a task: what is looked up has a time to be there
        if self._first:
            await self._say(RETRY + self._first)
            self._first = self._retry = b""
        if self._follower is None:
            await self._say_archived()
        while self._stirred and not self._ended:
            self._stirred = False
            if self._door.hub.closed or self._timed_out:
                await self._finish()
            elif self._follower is None:
                await self._find_place()
            else:
                await self._go_on(self._follower)
            if self._silent and not self._ended:
                await self._say(KEEPALIVE)

    async def _go_on(self, follower: Follower) -> None:
        """The next chunk, if there is one; a Redis that is away is asked again a little later."""
        try:
            chunk = follower.chunk(self._wish.types) or await self._read(follower)
        except Trimmed:
            await self._finish()  # the client comes again with its cursor and is healed by the 410
        except (TimeoutError, *RedisGone):
            await self._try_again()
        else:
            if chunk is not None:
                self._stirred = True
                await self._say_chunk(chunk)

    async def _read(self, follower: Follower) -> Chunk | None:
        if follower.is_live:
            return None
        async with asyncio.timeout(PATIENCE_SECONDS):
            await follower.read()
        return follower.chunk(self._wish.types)

    async def _find_place(self) -> None:
        """Look the place up, once Redis can tell it.

        A client whose place is not there, or is the end, comes again when this ends, and is told so.
        """
        try:
            after, over = await find_place_soon(self._wish, self._door)
        except ProblemError:
            await self._finish()
        except UNKNOWN:
            await self._try_again()
        else:
            if over:
                await self._finish()
            else:
                self._follow(after)
                self._stirred = True

    async def _say_archived(self) -> None:
        """What can be said without Redis; the place goes forward with it."""
        place = self._wish.place
        while isinstance(place, Cursor) and (found := await self._archived(place.seq)):
            for chunk in chunks_of(found, self._wish.types):
                await self._say_chunk(chunk)
            place = Cursor(found[-1].seq, None)
            self._wish = replace(self._wish, place=place)

    async def _archived(self, seq: int) -> Sequence[Entry]:
        """What the archive has after `seq`, as long as it can be asked."""
        try:
            return await self._door.log.archived(self._wish.run_id, seq)
        except RedisGone:
            return ()

    async def _try_again(self) -> None:
        self._stirred = True
        await asyncio.sleep(_AWAY_SECONDS)

    async def _say_chunk(self, chunk: Chunk) -> None:
        if chunk.frames:
            await self._say(self._retry + chunk.frames)
            self._retry = b""
        if chunk.over:
            await self._finish()

    async def _say(self, frames: bytes) -> None:
        self._silent = False
        await self._send({"type": "http.response.body", "body": frames, "more_body": True})
        self._door.silence.start(self._fall_silent)

    async def _finish(self) -> None:
        """Close the answer; the server says then that the client is gone, and our connection's task returns."""
        self._ended = True
        await self._send(cast("Message", {"type": "http.response.body", "body": b"", "more_body": False}))
