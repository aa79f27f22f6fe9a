"""Where an agent's word goes: into the log, past the watch on the working directory, and into the kept output."""

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol, cast

from activities.kept_output import KeptOutput
from cody.agents.base import Stop
from cody.clock import now_ms
from cody.contract.payloads import FileDeleted, FileWritten, LogUpdated, Payload
from cody.stream.writer import AttemptWriter

_WATCHED = frozenset({"file_written", "file_deleted", "log_updated"})


class Watch(Protocol):
    """The watch, which does not say again what the agent said itself."""

    def reported(self, path: str, type_: str) -> None:
        """The agent told of this path."""
        ...


class TurnSink:
    """`cody.agents.base.Sink` for one attempt."""

    def __init__(self, writer: AttemptWriter, output: KeptOutput, stop: Stop) -> None:
        self._stop = stop
        self._writer = writer
        self._output = output
        self._held: list[tuple[str, Payload]] | None = []
        self.begun = asyncio.Event()
        """`turn_started` is said."""
        self.watch: Watch | None = None
        self.carry: dict[str, Any] | None = None
        """What the agent wants its next attempt to know."""

    def emit(self, type_: str, payload: Payload) -> None:
        """Append an event."""
        if type_ in _WATCHED and self.watch is not None:
            self.watch.reported(cast("FileWritten | FileDeleted | LogUpdated", payload).path, type_)
        self.say(type_, payload)

    def say(self, type_: str, payload: Payload) -> None:
        """Append an event that the agent did not say. Nothing stands before `turn_started`: it is held until then."""
        if self._held is not None:
            self._held.append((type_, payload))
            if type_ != "turn_started":
                return
            # The attempt begins: its first word, then what was noticed before it.
            *noticed, first = self._held
            for held in (first, *noticed):
                self._append(*held)
            self._held = None
            self.begun.set()
            return
        self._append(type_, payload)

    def keep(self, chunk: bytes) -> None:
        """Keep raw output."""
        self._output.add(chunk)

    async def ready(self) -> None:
        """Wait for room in both; a stop does not wait for a part that is away."""
        if not (self._writer.full or self._output.full):
            return
        room = asyncio.create_task(self._room())
        stopped = asyncio.create_task(self._stop.requested.wait())
        await asyncio.wait((room, stopped), return_when=asyncio.FIRST_COMPLETED)
        for task in (room, stopped):
            task.cancel()
        await asyncio.wait((room, stopped))

    async def settled(self) -> bool:
        """Wait until all of it is in the log; a stop, or a log that refuses this attempt, comes first."""
        flushed = asyncio.create_task(self._writer.flush())
        stopped = asyncio.create_task(self._stop.requested.wait())
        await asyncio.wait((flushed, stopped), return_when=asyncio.FIRST_COMPLETED)
        for task in (flushed, stopped):
            task.cancel()
        await asyncio.wait((flushed, stopped))
        return not self._stop.requested.is_set() and not flushed.cancelled() and flushed.exception() is None

    def remember(self, carry: Mapping[str, Any]) -> None:
        """Keep it for the heartbeats."""
        self.carry = dict(carry)

    def _append(self, type_: str, payload: Payload) -> None:
        self._writer.emit(type_, now_ms(), payload)

    async def _room(self) -> None:
        await self._writer.ready()
        await self._output.ready()
