"""Where a client stands in a run's log: the place to go on from, or the answer that heals who has none."""

import asyncio
from dataclasses import dataclass
from typing import Literal

from api.problems import ProblemError, problem
from api.state import Door
from cody.contract import errors as e
from cody.contract.cursor import Cursor
from cody.store import DatabaseGone
from cody.stream.chunk import Types
from cody.stream.connection import RedisGone

PATIENCE_SECONDS = 1.0
"""How long Redis may take to answer before it counts as away."""


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


async def find_place(wish: Wish, door: Door) -> tuple[int, bool]:
    """`_stand`, or TimeoutError: a Redis that hangs must not keep a client from its answer."""
    async with asyncio.timeout(PATIENCE_SECONDS):
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
