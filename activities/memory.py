"""What was before an attempt: the thread's documents and what its last turn left, the turn's own events of the log."""

from collections.abc import Mapping, Sequence
from typing import Any

from cody.contract import tasks as t
from cody.contract.cursor import epoch_of
from cody.contract.events import Event, parse
from cody.contract.payloads import Payload
from cody.contract.threads import Exchange
from cody.store import RunRow, Store
from cody.stream.log import Log


class TurnMemory:
    """`cody.agents.base.Memory` of one attempt."""

    def __init__(self, store: Store, log: Log, run: RunRow, task: t.TurnTask, attempt: int) -> None:
        self._store = store
        self._log = log
        self._run = run
        self._task = task
        self._attempt = attempt

    async def thread(self) -> Sequence[Exchange]:
        """The turns of the thread but for this one."""
        return await self._store.threads.exchanges(self._run.row["thread_id"], but=(self._run.run_id, self._task.turn))

    async def carry(self) -> Mapping[str, Any]:
        """What the last attempt of this run left, else the last turn of the run before it on the thread."""
        if self._task.carry or self._run.kind == "continuous":
            return self._task.carry
        row = self._run.row
        return await self._store.threads.carry(row["thread_id"], agent=row["agent"], working_dir=row["working_dir"])

    async def leave(self, carry: Mapping[str, Any]) -> None:
        """Keep what this attempt leaves, for the thread's next run."""
        if carry:
            await self._store.turns.keep_carry(self._run.run_id, self._task.turn, self._attempt, carry)

    async def attempts(self) -> Sequence[Event[Payload]]:
        """Events of earlier attempts at this turn but for the deltas, read anew each time."""
        if self._attempt == 1:
            return ()
        first, ours = epoch_of(self._task.turn, 1), epoch_of(self._task.turn, self._attempt)
        found: list[Event[Payload]] = []
        seq = self._task.after
        while entries := await self._log.after(self._run.run_id, seq):
            seq = entries[-1].seq
            found += [
                event
                for entry in entries
                if first <= entry.epoch < ours
                and entry.type != "item_delta"
                and (event := parse(entry.type, entry.event)).attempt
            ]
        return found
