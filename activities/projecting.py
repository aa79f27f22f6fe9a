"""The projector of one attempt, in the attempt's own activity; what it does not come to, `project_turn` does."""

import asyncio
import logging

from activities.attempt import Attempt
from activities.project import SAVE_SECONDS, ProjectActivity
from cody.contract import tasks as t
from cody.fold import PoisonEvent
from cody.store import DatabaseGone
from cody.stream.follower import Trimmed

PATIENCE_SECONDS = 2.0
"""How long a turn that is over waits for its documents; until then it holds its place among the turns."""

_log = logging.getLogger(__name__)


class AttemptProjector:
    """Keeps the documents up with an attempt; `run` is its task, owned by the caller."""

    def __init__(self, project: ProjectActivity, task: t.TurnTask, attempt: Attempt) -> None:
        self._project = project
        self._attempt = attempt
        self._task = t.ProjectTask(run_id=task.run_id, turn=task.turn, first_attempt=attempt.number, after=task.after)

    async def run(self) -> t.ProjectReport | None:
        """From the attempt's first word to its end; None if the log cannot be read, which `project_turn` will tell."""
        await self._attempt.begun.wait()
        first = self._attempt.number == 1  # its number was claimed, so that there was none like it before
        while True:
            try:
                return await self._project.project(self._task, self._attempt.row, first=first)
            except DatabaseGone:
                first = False
                await asyncio.sleep(SAVE_SECONDS)  # it goes on from what is saved
            except (PoisonEvent, Trimmed):
                return None


async def finished(projecting: "asyncio.Task[t.ProjectReport | None]") -> t.ProjectReport | None:
    """What it reports of an attempt whose end is in the log; None if that takes long, or it failed."""
    try:
        await asyncio.wait((projecting,), timeout=PATIENCE_SECONDS)
    except asyncio.CancelledError:
        return None  # a stop that comes too late for the attempt: its report counts
    if not projecting.done():
        return None
    if (fault := projecting.exception()) is not None:
        _log.error("the projector of an attempt failed", exc_info=fault)  # the attempt did not
        return None
    return projecting.result()
