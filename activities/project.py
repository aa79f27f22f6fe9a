"""Project a turn: follow the log beside it, fold, and save document and cursor in one transaction."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Final, cast

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.beat import BEAT_SECONDS, beat
from activities.beside import beside
from activities.handover import handed_over
from activities.lag import LAGS, Lag
from cody.clock import now_ms
from cody.contract import tasks as t
from cody.contract.base import response_id_of
from cody.contract.errors import INTERNAL
from cody.contract.events import ATTEMPT_ENDS, parse
from cody.contract.payloads import TurnStarted
from cody.fold import Folder, PoisonEvent
from cody.metrics import SAVED
from cody.store import Projection, RunRow, Store
from cody.stream.connection import RedisGone
from cody.stream.entry import Entry
from cody.stream.follower import Follower, Trimmed
from cody.stream.rings import Rings

SAVE_SECONDS: Final = 0.25
"""At most this often while text flows."""
_REST: Final = 9.0
"""How many times as long as a save took it rests after it, up to `_LONGEST_REST_SECONDS`: where many turns save at
once, or the database is slow, they leave it room."""
_LONGEST_REST_SECONDS: Final = 5.0
PLACE_EVENTS: Final = 1000
"""Events after which the place alone is saved, where they change nothing in the documents: of a live run only what is
projected is archived, and a flood of telemetry would stay in Redis, and in its writer, for as long as its turn."""
BREATH_SECONDS: Final = 0.05
"""After which a projector saves for the first time: a turn that is over by then is saved once."""
_SAVED_AT_ONCE: Final = ATTEMPT_ENDS | {
    "turn_started", "response_start", "item_done", "item_error", "item_cancelled", "response_done", "response_error",
}  # fmt: skip


class ProjectActivity:
    """Keeps the responses of a run up with its log."""

    def __init__(self, store: Store, hub: Rings) -> None:
        self._store = store
        self._hub = hub

    @activity.defn(name=t.PROJECT_TURN)
    async def project_turn(self, task: t.ProjectTask) -> t.ProjectReport:
        """Return when an attempt from `first_attempt` on ended and all of it is saved.

        A crash at any point, or a second projector beside this one, gives the same documents: what is saved goes on
        from its own cursor.
        """

        def hand_over() -> None:
            if activity.is_worker_shutdown():
                raise handed_over(f"the projector of {task.run_id} turn {task.turn}")

        async with beside(beat()):
            try:
                return await self.project(task, await self._run(task), hand_over)
            except (PoisonEvent, Trimmed) as error:
                raise ApplicationError(str(error), type=INTERNAL, non_retryable=True) from error

    async def project(
        self, task: t.ProjectTask, run: RunRow, check: Callable[[], None] = lambda: None, *, first: bool = False
    ) -> t.ProjectReport:
        """As `project_turn`, for whoever is an activity already. `run` is as it was when the projector began; what
        `check` raises between two looks at the log ends it. `first`: nobody has projected anything of the turn, so
        there is nothing to load, and the run's figures are what they were and what the turn adds.

        Raises PoisonEvent and Trimmed, DatabaseGone.
        """
        saved = None if first else await self._store.responses.load(response_id_of(task.run_id, task.turn))
        folder = Folder(task.turn, *saved) if saved else Folder(task.turn)
        known = (run.row["current_turn"], run.row["attempt"]) == (task.turn, folder.attempt)
        turn = _Turn(self._store, task, folder, run.row["pid"] if known else None)
        with (
            self._hub.follow(task.run_id, max(turn.folder.cursor.seq, task.after)) as follower,
            LAGS.of(lambda: turn.lag(follower)),
        ):
            while (ended := turn.over) is None:
                check()
                turn.fold(await _take(follower, turn.patience))
                await turn.save_if_due()
        if first:
            tokens = run.row["tokens"] + turn.folder.checkpoint().tally.total.total_tokens
        else:
            tokens = (await self._run(task)).row["tokens"]
        return t.ProjectReport(cursor=turn.folder.cursor.seq, tokens=tokens, attempt=ended)

    def expect(self, task: t.TurnTask) -> AbstractContextManager[object]:
        """Have the log's end at hand for a turn's first attempt, which this process is about to write and project."""
        return self._hub.expect(task.run_id, task.after)

    async def _run(self, task: t.ProjectTask) -> RunRow:
        run = await self._store.runs.get(task.run_id, unconfirmed=True)
        if run is None:
            raise ApplicationError(f"run {task.run_id} is not in the store", type="run_unknown", non_retryable=True)
        return run


class _Turn:
    """One turn's folder, and what of it is not saved yet; `pid` is the agent's, where it is known already."""

    def __init__(self, store: Store, task: t.ProjectTask, folder: Folder, pid: int | None) -> None:
        self.folder = folder
        self._store = store
        self._task = task
        self._pid = pid
        self._unsaved = 0
        self._oldest: Entry | None = None
        self._passed = 0
        """Entries since the last save, also those that the fold has no use for."""
        self._urgent = False
        self._breath_until = self._due_at = time.monotonic() + BREATH_SECONDS

    @property
    def over(self) -> int | None:
        """The attempt that ended, if it is the one that was asked for or a newer one."""
        ended = self.folder.ended
        return ended.attempt if ended is not None and ended.attempt >= self._task.first_attempt else None

    @property
    def patience(self) -> float:
        """Seconds to wait for more before saving what there is."""
        if not self._has_news or not self.folder.has_begun:  # a response that has not begun cannot be saved
            return BEAT_SECONDS
        return max(0.0, self._due_at - time.monotonic())

    def lag(self, follower: Follower) -> Lag:
        """What the document does not have: folded and not saved yet, or still to come."""
        return Lag(self._unsaved + follower.behind, self._oldest if self._unsaved else follower.oldest)

    def fold(self, entries: Sequence[Entry]) -> None:
        """Take entries into the document; the first of those that are not saved is remembered to the batch."""
        if entries and not self._unsaved:
            self._oldest = entries[0]
        for entry in entries:
            if self.folder.feed(entry.cursor, entry.type, entry.event):
                self._unsaved += 1
                self._urgent = self._urgent or entry.type in _SAVED_AT_ONCE
            if entry.type == "turn_started" and entry.epoch == self._epoch:
                self._pid = cast("TurnStarted", parse(entry.type, entry.event).payload).pid
        self._passed += len(entries)

    @property
    def _has_news(self) -> bool:
        return self._unsaved > 0 or self._passed >= PLACE_EVENTS

    @property
    def _epoch(self) -> int:
        return self._task.turn * 1000 + self.folder.attempt

    async def save_if_due(self) -> None:
        began = time.monotonic()
        due = self.over is not None or began >= self._due_at or (self._urgent and began >= self._breath_until)
        if not self._has_news or not due or (header := self.folder.header()) is None:
            return
        projection = Projection(
            run_id=self._task.run_id,
            turn=self._task.turn,
            header=header,
            checkpoint=self.folder.checkpoint(),
            changes=self.folder.take_dirty(),
            pid=None if self.folder.ended else self._pid,
            at=now_ms(),
        )
        await self._store.responses.save(projection)
        self._unsaved, self._passed, self._urgent = 0, 0, False
        saved_at = time.monotonic()
        SAVED.observe(saved_at - began)
        rest = min(_REST * (saved_at - began), _LONGEST_REST_SECONDS)
        self._due_at = saved_at + max(SAVE_SECONDS, rest)


async def _take(follower: Follower, patience: float) -> Sequence[Entry]:
    try:
        return await follower.take(patience)
    except RedisGone:
        await asyncio.sleep(SAVE_SECONDS)  # the log waits there for us
        return ()
