"""One attempt's way into the log: self-clocking, so one event leaves at once and a flood travels in big batches."""

import asyncio
from collections import deque

from cody.contract.base import Millis
from cody.contract.events import Speaker, encode
from cody.contract.payloads import Payload
from cody.metrics import APPEND_RETRIES
from cody.stream.connection import RedisGone
from cody.stream.log import Log, Outcome

BATCH_EVENTS = 500
BATCH_BYTES = 1 << 20
ROOM_BYTES = 8 << 20
"""Unsent bytes above which `ready` waits."""
_RETRY_SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0)


class Fenced(Exception):
    """The log refuses this writer: a newer attempt writes, or the end of this one (or of the run) was written."""

    def __init__(self, speaker: Speaker, outcome: Outcome) -> None:
        super().__init__(f"{speaker.run_id} turn {speaker.turn} attempt {speaker.attempt}: {outcome}")
        self.outcome = outcome


class AttemptWriter:
    """Numbers an attempt's events and appends them; `run` is the task that does it, owned by the caller.

    While one append is under way the next batch gathers. An append whose reply was lost is simply sent again: the
    fence knows what it has. While Redis is away `run` keeps trying, and nothing is dropped.
    """

    def __init__(self, log: Log, speaker: Speaker) -> None:
        self.speaker = speaker
        self._log = log
        self._pending: deque[tuple[str, bytes]] = deque()
        self._bytes = 0
        self._number = 0
        self._sent = 0
        self._work = asyncio.Event()
        self._moved = asyncio.Condition()
        self._refused: Outcome | None = None
        self._closed = False

    def emit(self, type_: str, timestamp: Millis, payload: Payload) -> None:
        """Queue an event; it is numbered here, so its id never changes."""
        self._number += 1
        event = encode(self.speaker, self._number, type_, timestamp, payload)
        self._pending.append((type_, event))
        self._bytes += len(event)
        self._work.set()

    @property
    def full(self) -> bool:
        """Whether so much is unsent that more had better wait."""
        return self._bytes > ROOM_BYTES

    async def ready(self) -> None:
        """Return once there is room for more."""
        if self.full:
            async with self._moved:
                await self._moved.wait_for(lambda: not self.full)

    async def flush(self) -> None:
        """Return once all that was emitted is in the log; raises Fenced if the log refuses it."""
        target = self._number
        async with self._moved:
            await self._moved.wait_for(lambda: self._sent >= target or self._refused is not None)
        if self._refused is not None:
            raise Fenced(self.speaker, self._refused)

    def close(self) -> None:
        """Let `run` return once everything is sent."""
        self._closed = True
        self._work.set()

    async def run(self) -> None:
        """Append until closed; raises Fenced when the log refuses this attempt."""
        while not (self._closed and not self._pending):
            await self._work.wait()
            self._work.clear()
            while self._pending:
                batch = self._next_batch()
                await self._append(batch)
                for _ in batch:
                    self._bytes -= len(self._pending.popleft()[1])
                self._sent += len(batch)
                async with self._moved:
                    self._moved.notify_all()

    def _next_batch(self) -> list[tuple[str, bytes]]:
        batch: list[tuple[str, bytes]] = []
        size = 0
        for pair in self._pending:
            size += len(pair[1])
            if batch and (size > BATCH_BYTES or len(batch) == BATCH_EVENTS):
                break
            batch.append(pair)
        return batch

    async def _append(self, batch: list[tuple[str, bytes]]) -> None:
        tries = 0
        while True:
            try:
                done = await self._log.append(self.speaker.run_id, self.speaker.epoch, self._sent + 1, batch)
            except RedisGone:
                APPEND_RETRIES.inc()
                await asyncio.sleep(_RETRY_SECONDS[min(tries, len(_RETRY_SECONDS) - 1)])
                tries += 1
                continue
            if done.outcome != "ok":
                self._refused = done.outcome
                async with self._moved:
                    self._moved.notify_all()
                raise Fenced(self.speaker, done.outcome)
            return
