"""Where a client stands in a run's log: the place to go on from, or the answer that heals who has none."""

from dataclasses import dataclass
from typing import Literal

from api.problems import ProblemError, problem
from api.state import Door
from cody.archive.whole import View
from cody.contract import errors as e
from cody.contract.cursor import Cursor
from cody.store import DatabaseGone
from cody.stream.chunk import Types
from cody.stream.connection import RedisGone


class Unsettled(Exception):
    """Redis has lost some of the log, and nobody has healed it yet."""


UNKNOWN = (TimeoutError, Unsettled, *RedisGone, *DatabaseGone)
"""Why a place cannot be told now; it will be, when Redis and the store are back."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the client asked for."""

    run_id: str
    place: Cursor | Literal["latest"]
    types: Types
    heal: bool


async def find_place_soon(wish: Wish, door: Door) -> tuple[int, bool]:
    """`find_place`, or TimeoutError: a Redis that hangs must not keep a client, or a crowd, from its answer."""
    async with door.outages.asking(door.log.node_of(wish.run_id)):
        return await find_place(wish, door)


async def find_place(wish: Wish, door: Door) -> tuple[int, bool]:
    """The SEQ to go on after, and whether that is the end of the run. Raises the 409 and 410 that heal a client."""
    log, run_id = door.log, wish.run_id
    seq, epoch = Cursor(0, None) if wish.place == "latest" else wish.place
    view = await log.view(run_id, seq)
    end = view.end.seq
    if wish.place == "latest":
        await _settle(wish, view, door)
        return end, view.over
    if seq > end:
        raise await _no_place(wish, view, door, 409, e.CURSOR_AHEAD, f"cursor {wish.place} is beyond the end, {end}")
    known = view.here.epoch if view.here else 0
    if epoch not in (None, known) and (view.here or not seq):
        detail = f"cursor {wish.place}: the entry there is {Cursor(seq, known)}"
        raise await _no_place(wish, view, door, 409, e.CURSOR_AHEAD, detail)
    if seq < end and not (view.in_redis and view.in_redis.follows(seq)):
        first = await log.oldest(run_id, view.in_redis)
        if first is None or not first.follows(seq):
            rest = f"the stream begins at {first.cursor}" if first else "and so is all of it"
            detail = f"what follows cursor {wish.place} is gone; {rest}"
            raise await _no_place(wish, view, door, 410, e.STREAM_TRIMMED, detail)
    return seq, view.over and seq == end


async def _settle(wish: Wish, view: View, door: Door) -> None:
    """Raise Unsettled if Redis has lost some of the log: it waits for those who can write it again (ADR 015)."""
    if view.whole:
        return
    known = await door.store.healing.known(wish.run_id)
    if known is None or not (known.row["version"] or known.claimed):
        return  # nothing was ever said
    if wish.place != "latest" and view.end.seq < wish.place.seq <= known.reserved:
        await door.log.saw(wish.run_id, wish.place.seq)
    raise Unsettled(wish.run_id)


async def _no_place(wish: Wish, view: View, door: Door, status: int, code: str, detail: str) -> ProblemError:
    """The answer that heals; not of a log that something was missing of when it was looked at."""
    await _settle(wish, view, door)
    first = await door.log.oldest(wish.run_id, view.in_redis)
    error = problem(status, code, detail)
    error.problem = e.CursorProblem(
        **error.problem.model_dump(),
        earliest_cursor=str(first.cursor) if first else None,
        latest_cursor=str(view.end) if view.end.seq else None,
        responses=door.linker.run(wish.run_id).responses,
    )
    return error
