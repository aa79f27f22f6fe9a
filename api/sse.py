"""The stream: where a client stands, and everything after that, as frames."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from litestar import Response, get
from litestar.openapi import ResponseSpec
from litestar.params import Parameter
from litestar.response import Stream

from api.problems import ProblemError, documented, invalid, problem
from api.runs import require
from api.state import Door
from cody.contract import errors as e
from cody.contract.cursor import START, Cursor
from cody.contract.events import PAYLOADS, TERMINAL
from cody.metrics import OPEN_STREAM, STREAM_RESETS, STREAMS_WAITED
from cody.store import DatabaseGone
from cody.stream.connection import RedisGone
from cody.stream.entry import Entry
from cody.stream.follower import Follower, Trimmed

EVENT_STREAM = "text/event-stream"
KEEPALIVE = b": keepalive\n\n"
RETRY = b"retry: 1000\n"
_AWAY_SECONDS = 0.5
_PATIENCE_SECONDS = 1.0
"""How long Redis may take to answer before it counts as away."""
_HEADERS = {"Content-Type": EVENT_STREAM, "Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}


class Unsettled(Exception):
    """Redis has lost some of the log, and nobody has healed it yet."""


@dataclass(frozen=True)
class Wish:
    """What the client asked for."""

    run_id: str
    place: Cursor | Literal["latest"]
    types: frozenset[str] | None
    heal: bool


@get(
    "/api/runs/{run_id:str}/stream",
    media_type=EVENT_STREAM,
    responses={
        204: ResponseSpec(None, description="The run has ended, and the cursor is its end", generate_examples=False),
        **documented(400, 404, 409, 410, 503, conflict=e.CursorProblem),
    },
    summary="A run's events, as they happen, from any cursor",
)
async def stream(
    run_id: str,
    door: Door,
    last_event_id: Annotated[str | None, Parameter(header="Last-Event-ID", description="Wins over `from`.")] = None,
    from_: Annotated[
        str | None, Parameter(query="from", description="Start after this entry: `SEQ-EPOCH`, `SEQ`, or `latest`.")
    ] = None,
    types: Annotated[
        str | None, Parameter(description="Event types, comma-separated; terminal ones always pass.")
    ] = None,
    heal: Annotated[
        Literal["frame"] | None,
        Parameter(description="`frame`: tell a cursor that cannot be resumed as a first frame `stream_reset`."),
    ] = None,
) -> Response[Any]:
    """Server-sent events after `Last-Event-ID` (or `from`), without loss and in order."""
    place = _place("Last-Event-ID", last_event_id) if last_event_id else _place("from", from_)
    wish = Wish(run_id, place, _types(types), heal == "frame")
    await require(run_id, door)
    try:
        after, over = await _stand_soon(wish, door)
    except ProblemError as error:
        body = error.problem
        if not wish.heal or not isinstance(body, e.CursorProblem):
            raise
        reset = b"event: stream_reset\ndata: %s\n\n" % body.model_dump_json().encode()
        STREAM_RESETS.inc()
        earliest = Cursor.parse(body.earliest_cursor).seq - 1 if body.earliest_cursor else 0
        return _response(_frames(wish, door, earliest, reset))
    except (TimeoutError, Unsettled, *RedisGone):
        STREAMS_WAITED.inc()
        return _response(_when_redis_is_back(wish, door))
    if over:
        return Response(None, status_code=204)
    return _response(_frames(wish, door, after))


def _response(frames: AsyncIterator[bytes]) -> Response[Any]:
    return Stream(frames, media_type=EVENT_STREAM, headers=_HEADERS)


def _place(field: str, text: str | None) -> Cursor | Literal["latest"]:
    if text is None or text == "":
        return START
    if text == "latest":
        return "latest"
    try:
        return Cursor.parse(text)
    except ValueError as error:
        fault = e.FieldError(field=field, message=str(error))
        raise problem(400, e.INVALID_CURSOR, f"{field}: {error}", (fault,)) from error


def _types(text: str | None) -> frozenset[str] | None:
    if text is None:
        return None
    wanted = frozenset(part.strip() for part in text.split(",") if part.strip())
    if unknown := sorted(wanted - set(PAYLOADS)):
        raise invalid("types", f"there is no event type {', '.join(unknown)[:200]}")
    return wanted | TERMINAL


async def _stand_soon(wish: Wish, door: Door) -> tuple[int, bool]:
    """`_stand`, or TimeoutError: a Redis that hangs must not keep a client from its answer."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        return await _stand(wish, door)


async def _stand(wish: Wish, door: Door) -> tuple[int, bool]:
    """The SEQ to go on after, and whether that is the end of the run. Raises the 409 and 410 that heal a client."""
    log, run_id = door.log, wish.run_id
    last, over = await log.end(run_id)
    end = last.seq
    if wish.place == "latest":
        return end, over
    seq, epoch = wish.place
    if seq > end and not over and await _may_be_healed(run_id, seq, door):
        raise Unsettled(run_id)
    if seq > end:
        raise await _no_place(wish, door, 409, e.CURSOR_AHEAD, f"cursor {wish.place} is beyond the end, {end}")
    here = await log.at(run_id, seq) if seq else None
    known = here.epoch if here else 0
    if epoch not in (None, known) and (here or not seq):
        detail = f"cursor {wish.place}: the entry there is {Cursor(seq, known)}"
        raise await _no_place(wish, door, 409, e.CURSOR_AHEAD, detail)
    if seq < end and ((first := await log.first(run_id)) is None or not first.follows(seq)):
        rest = f"the stream begins at {first.cursor}" if first else "and so is all of it"
        detail = f"what follows cursor {wish.place} is gone; {rest}"
        raise await _no_place(wish, door, 410, e.STREAM_TRIMMED, detail)
    return seq, over and seq == end


async def _may_be_healed(run_id: str, seq: int, door: Door) -> bool:
    """Whether Redis has lost what this client has seen: the log waits for those who can write it again (ADR 015)."""
    known = await door.store.healing.known(run_id)
    if known is None or seq > known.reserved or not known.row["version"] or await door.log.is_sound(run_id):
        return False
    await door.log.saw(run_id, seq)
    return True


async def _no_place(wish: Wish, door: Door, status: int, code: str, detail: str) -> ProblemError:
    first, end = await door.log.first(wish.run_id), await door.log.end(wish.run_id)
    error = problem(status, code, detail)
    error.problem = e.CursorProblem(
        **error.problem.model_dump(),
        earliest_cursor=str(first.cursor) if first else None,
        latest_cursor=str(end.cursor) if end.cursor.seq else None,
        responses=door.linker.run(wish.run_id).responses,
    )
    return error


async def _frames(
    wish: Wish, door: Door, after: int, first: bytes = b"", *, retry: bytes = RETRY
) -> AsyncIterator[bytes]:
    """Frames until the run ends, the connection's time is over, or the server shuts down."""
    began = spoke = time.monotonic()
    if first:
        yield retry + first
        retry = b""
    with OPEN_STREAM, door.hub.follow(wish.run_id, after) as follower:
        while not door.hub.closed and time.monotonic() - began < door.max_stream_seconds:
            silence = min(spoke + door.keepalive_seconds, began + door.max_stream_seconds) - time.monotonic()
            try:
                entries = await _take(follower, max(0.0, silence))
            except Trimmed:
                return  # the client comes again with its cursor and is healed by the 410
            chunk = _chosen(entries, wish)
            if chunk:
                yield retry + chunk
                retry = b""
            elif time.monotonic() - spoke >= door.keepalive_seconds:
                yield KEEPALIVE
            else:
                continue
            spoke = time.monotonic()
            if entries and entries[-1].type in TERMINAL:
                return


def _chosen(entries: Sequence[Entry], wish: Wish) -> bytes:
    """The frames of what the client wants to see."""
    return b"".join(entry.frame for entry in entries if wish.types is None or entry.type in wish.types)


async def _when_redis_is_back(wish: Wish, door: Door) -> AsyncIterator[bytes]:
    """What the archive has, then keepalives until the place can be looked up, then what follows it.

    A client whose place is not there, or is the end, comes again when this ends, and is told so.
    """
    began = spoke = time.monotonic()
    retry = RETRY
    if isinstance(wish.place, Cursor):
        seq = wish.place.seq
        while entries := await _archived(wish.run_id, seq, door):
            seq = entries[-1].seq
            if chunk := _chosen(entries, wish):
                yield retry + chunk
                retry = b""
            if entries[-1].type in TERMINAL:
                return
        wish = replace(wish, place=Cursor(seq, None if seq != wish.place.seq else wish.place.epoch))
    while not door.hub.closed and time.monotonic() - began < door.max_stream_seconds:
        try:
            after, over = await _stand_soon(wish, door)
        except ProblemError:
            return
        except (TimeoutError, Unsettled, *RedisGone, *DatabaseGone):
            await asyncio.sleep(_AWAY_SECONDS)
            if time.monotonic() - spoke >= door.keepalive_seconds:
                yield KEEPALIVE
                spoke = time.monotonic()
            continue
        if not over:
            async for chunk in _frames(wish, door, after, retry=retry):
                yield chunk
        return


async def _archived(run_id: str, seq: int, door: Door) -> Sequence[Entry]:
    """What the archive has after `seq`, as long as it can be asked."""
    try:
        return await door.log.archived(run_id, seq)
    except RedisGone:
        return ()


async def _take(follower: Follower, seconds: float) -> Sequence[Entry]:
    try:
        async with asyncio.timeout(seconds + _PATIENCE_SECONDS):
            return await follower.take(seconds)
    except TimeoutError:
        return ()  # Redis hangs; what was asked for is asked for again
    except RedisGone:
        await asyncio.sleep(min(seconds, _AWAY_SECONDS))
        return ()
