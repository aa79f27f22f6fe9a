"""Listens to a turn of Codex until it ends: by itself, because it is asked to, or because our patience does."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

from openai_codex import CodexError

from cody.agents.drivers.codex.client import Codex, Gone, Heard
from cody.agents.drivers.codex.errors import failure, finish_reason
from cody.agents.drivers.codex.events import SKIPPED, Events
from cody.agents.drivers.codex.transcript import PATIENCE_SECONDS, Call, Entry, Output, Spoken, Transcript
from cody.agents.drivers.speech import End, Order
from cody.contract.errors import AGENT_EXIT, PROVIDER_TIMEOUT, PROVIDER_UNREACHABLE, ErrorInfo

POLL_SECONDS = 0.05
"""How often, while nothing is heard, the thread's file is looked at, and whether the turn is to end."""
LATE_SECONDS = 5.0
"""How much later than in the thread's file a command's end may be heard of: it is, but the machine may be busy."""
INTERRUPT_SECONDS = 0.8
"""How long Codex may take to end a turn that it is asked to end; measured: 30 ms."""
REFUSALS = 2
"""Codex tries an address where nobody listens for ever (after 0, 5, 15, 35 s); this often is enough."""


class Listening:
    """One turn, which has just begun."""

    def __init__(
        self, order: Order, codex: Codex, events: Events, transcript: Transcript, interrupt: asyncio.Event
    ) -> None:
        self._order = order
        self._codex = codex
        self._events = events
        self._transcript = transcript
        self._interrupt = interrupt
        self._now = asyncio.get_running_loop().time
        self._quiet_since = self._now()
        self._held_since: float | None = None
        self._speaking = False
        self._fault: ErrorInfo | None = None

    async def listen(self) -> End:
        """Tell the turn as it goes, and then how it ended."""
        asking: asyncio.Task[None] | None = None
        give_up = float("inf")
        while self._events.turn is None and self._now() < give_up:
            heard = await self._next()
            if isinstance(heard, Gone):
                self._fault = ErrorInfo(code=AGENT_EXIT, message=f"Codex broke off: {heard.why}", retryable=True)
                break
            if heard is not None:
                await self._hear(heard)
            if self._codex.heard.empty():
                self._read_along()
                self._events.commands.flush()
                self._watch()
            if asking is None and (self._interrupt.is_set() or self._fault is not None):
                give_up = self._now() + INTERRUPT_SECONDS
                asking = asyncio.create_task(self._ask())
        return await self._ended()

    async def _next(self) -> Heard | Gone | None:
        """What is heard next; None if there is nothing for a while."""
        if not self._codex.heard.empty():
            return self._codex.heard.get_nowait()
        due = self._events.commands.wait()
        try:
            async with asyncio.timeout(POLL_SECONDS if due is None else min(due, POLL_SECONDS)):
                return await self._codex.heard.get()
        except TimeoutError:
            return None

    async def _hear(self, heard: Heard) -> None:
        call_id = self._events.needs(*heard)
        if call_id is not None and await self._transcript.has(call_id):
            self._read_along(call_id, at_once=True)
        if self._events.hear(*heard):
            self._speaking = True
            self._quiet_since = self._now()

    def _read_along(self, until: str | None = None, *, at_once: bool = False) -> None:
        """Tell what the thread's file says, up to a call, or to what is to be heard first unless it is `at_once`."""
        self._transcript.read()
        pending = self._transcript.pending
        while pending:
            if not at_once and self._comes_later(pending[0]):
                return
            self._held_since = None
            entry = pending.popleft()
            busy = self._events.calls.busy
            self._events.take(entry)
            if busy and not self._events.calls.busy:
                self._speaking = False  # the model has its answers, and is asked again
            if isinstance(entry, Call) and entry.call_id == until:
                return

    def _comes_later(self, entry: Entry) -> bool:
        """Whether a notification about this is still to come, for which it waits a moment."""
        spoken = isinstance(entry, Spoken) and not self._events.spoke(entry.id)
        running = isinstance(entry, Output) and self._events.runs(entry)
        if not (spoken or running):
            return False
        self._held_since = self._held_since or self._now()
        return self._now() - self._held_since < (LATE_SECONDS if running else PATIENCE_SECONDS)

    def _watch(self) -> None:
        """See to it that nobody waits for ever for a provider."""
        if self._events.calls.busy:
            self._quiet_since = self._now()
        patience = self._order.silence_seconds
        if not self._speaking:
            patience = min(patience, self._order.answer_seconds)
        late = self._now() - self._quiet_since > patience
        if self._fault is not None or not (late or self._events.refused >= REFUSALS):
            return
        if self._events.refused:
            message = "the provider cannot be reached: nobody listens there"
            self._fault = ErrorInfo(code=PROVIDER_UNREACHABLE, message=message, retryable=True)
        else:
            message = f"the provider said nothing for {patience:g} s"
            self._fault = ErrorInfo(code=PROVIDER_TIMEOUT, message=message, retryable=True)

    async def _ask(self) -> None:
        """Ask for the end of the turn."""
        with contextlib.suppress(CodexError):  # it has ended by itself meanwhile, or Codex has: both are heard
            await self._codex.interrupt(*self._events.ids)

    def _hear_of_skipped(self) -> None:
        """Codex's log is not in step with its notifications."""
        while not self._codex.heard.empty():
            heard = self._codex.heard.get_nowait()
            if isinstance(heard, Heard) and heard.method == SKIPPED:
                self._events.hear(*heard)

    async def _ended(self) -> End:
        if await self._transcript.ended():
            self._read_along(at_once=True)
        self._hear_of_skipped()
        turn = self._events.turn or {}
        error, reason = self._fault, "stop"
        if error is None and turn.get("status") == "failed":
            told: Mapping[str, Any] = turn.get("error") or {}
            reason = finish_reason(told) or reason
            error = failure(told) if reason == "stop" else None
        if error is None and turn.get("status") != "completed" and reason == "stop" and not self._interrupt.is_set():
            error = ErrorInfo(code=AGENT_EXIT, message="Codex interrupted the turn by itself", retryable=True)
        stopped = self._interrupt.is_set() and turn.get("status") != "completed"
        error = None if stopped else error
        self._events.close(error)
        return End(
            error=error,
            interrupted=stopped,
            finish_reason=reason,
            usage=self._events.spent.known,
        )
