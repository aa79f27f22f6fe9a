"""One attempt at a turn, from its claim to its last word."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from activities.kept_output import KeptOutput
from activities.memory import TurnMemory
from activities.sink import TurnSink
from cody.agents import completion
from cody.agents.base import Agent, Job, OutputLimits, Patience, Result, Stop, begin
from cody.agents.connections import connection_of, unrouted
from cody.agents.environment import agent_environment
from cody.agents.prompt import PromptError, build
from cody.agents.sweep import LINUX, sweep, worker_marker
from cody.agents.workspace import Workspace
from cody.clock import now_ms
from cody.contract import tasks as t
from cody.contract.base import response_id_of, turn_id_of
from cody.contract.errors import (
    INTERNAL,
    PROMPT_UNREADABLE,
    TURN_TIMEOUT,
    WORKER_SHUTDOWN,
    WORKING_DIR_GONE,
    WORKING_DIR_SHARED,
    ErrorInfo,
)
from cody.contract.events import Speaker
from cody.contract.payloads import (
    CompletionDetected,
    CompletionVerdict,
    Payload,
    ResponseDone,
    ResponseError,
    TurnCompleted,
    TurnFailed,
    Warned,
)
from cody.store import RunRow, Store
from cody.stream.log import Log
from cody.stream.writer import AttemptWriter

_OPENING = frozenset({"turn_started", "response_start"})
"""Without these there is no response."""


class AttemptTaken(Exception):
    """Another execution has this attempt's number: a worker that was believed lost is not."""


class DoneAlready(Exception):
    """An older attempt, that was believed lost, has done the turn meanwhile."""


class HandedOver(Exception):
    """The worker shuts down: another one is to repeat the turn."""


class Orphaned(Exception):
    """The workflow is gone, or Temporal has given this attempt up."""


@dataclass(frozen=True)
class Parts:
    """What every attempt on this worker works with."""

    store: Store
    log: Log
    agent_for: Callable[[str], Agent | None]
    kill_grace_seconds: float
    limits: OutputLimits
    environment: Mapping[str, str]
    """The worker's own, of which an agent gets what is allowed."""
    env_allowed: tuple[str, ...] = ()
    patience: Patience = field(default_factory=Patience)


class Attempt:
    """An attempt; `run` does it. Its own events are in the log before it returns, but for the end of a stopped one."""

    def __init__(self, parts: Parts, task: t.TurnTask, run: RunRow, number: int, stop: Stop) -> None:
        self._parts = parts
        self._task = task
        self._run = run
        self.number = number
        self.row = run
        self._request = run.request.continuous()
        self._root = Path(self._request.working_dir) if self._request.working_dir else None
        self._response_id = response_id_of(run.run_id, task.turn)
        speaker = Speaker(run_id=run.run_id, turn=task.turn, attempt=number, trace_context=run.trace_context)
        self.writer = AttemptWriter(parts.log, speaker)
        self.output = KeptOutput(parts.store.turns, run.run_id, task.turn, number)
        self.stop = stop
        self._sink = TurnSink(self.writer, self.output, stop)
        self.begun = self._sink.begun
        self._memory = TurnMemory(parts.store, parts.log, run, task, number)
        self._workspace = self._watch(self._root) if self._root else None

    @property
    def carry(self) -> dict[str, Any] | None:
        """What the agent wants the next attempt to know, if this one ends without a report."""
        return self._sink.carry

    async def run(self) -> t.TurnReport:
        """Do the turn, or as much of it as its `stop` allows.

        Raises HandedOver and Orphaned where nobody waits for a report, AttemptTaken and DoneAlready where the turn is
        not ours to do, Fenced where it is not any more.
        """
        here, turn = self._run.run_id, self._task.turn
        prompt, fault, found = await asyncio.to_thread(self._read)
        sweeping = self._task.unproven or self.number > self._task.first_attempt or not LINUX
        # None of these waits for another, only the agent for them all.
        looking = asyncio.gather(
            self._since(found),
            self._warn_if_shared(),
            self._look(now=fault is None and not sweeping),  # what is swept may write until then
        )
        try:
            await self._claim(prompt)
            since, *_ = await looking
        finally:
            looking.cancel()
        if sweeping:
            await sweep(here, before=(turn, self.number), grace_seconds=self._parts.kill_grace_seconds)
            await self._look(now=fault is None)
        if self.number > 1 and (await self._parts.log.fence(here)).done == turn:
            raise DoneAlready(f"{here} turn {turn}")
        job = self._job(prompt, await self._memory.carry())
        if fault is not None:
            begin(job, self._sink)
            return self._failed(fault)
        if self.stop.cause:
            return self._stopped(None)
        return await self._work(job, since)

    async def _claim(self, prompt: str) -> None:
        here, turn = self._run.run_id, self._task.turn
        if not await self._parts.store.turns.claim(here, turn, self.number, uuid4().hex, prompt):
            raise AttemptTaken(f"{here} turn {turn} attempt {self.number}")
        # Whoever heals the log knows of the claim, and would take an attempt that has not written yet for lost.
        self._parts.log.begins(here, self.writer.speaker.epoch)

    def _read(self) -> tuple[str, ErrorInfo | None, completion.Baseline | None]:
        """The prompt, or why there is none; what the completion log holds, if that is not kept yet. Blocking."""
        prompt, fault = self._prompt()
        if fault is not None or self._root is None or self._run.kind == "single" or self._run.row["baseline"]:
            return prompt, fault, None
        return prompt, fault, completion.baseline(self._root, self._request.completion)

    async def _look(self, *, now: bool) -> None:
        if now and self._workspace is not None:
            await self._workspace.begin()

    def _prompt(self) -> tuple[str, ErrorInfo | None]:
        if self._root is not None and not self._root.is_dir():
            message = f"the working directory {self._root} is gone"
            return "", ErrorInfo(code=WORKING_DIR_GONE, message=message)
        spec = self._request.prompt_spec
        if self._run.kind == "single":
            return spec.template, None
        try:
            return build(self._root, spec), None
        except PromptError as error:
            return "", ErrorInfo(code=PROMPT_UNREADABLE, message=str(error), details={"path": error.path})

    def _job(self, prompt: str, carry: Mapping[str, Any]) -> Job:
        kind, run_env = self._request.agent.kind, self._request.env
        connection = connection_of(kind, self._parts.environment, run_env)
        return Job(
            run_id=self._run.run_id,
            turn=self._task.turn,
            attempt=self.number,
            turn_id=turn_id_of(self._run.run_id, self._task.turn),
            response_id=self._response_id,
            thread_id=self._run.row["thread_id"],
            agent=self._request.agent,
            prompt=prompt,
            working_dir=self._root,
            env=agent_environment(
                self._parts.environment,
                unrouted(kind, connection, run_env),
                run_id=self._run.run_id,
                turn=self._task.turn,
                attempt=self.number,
                worker=worker_marker(),
                allowed=self._parts.env_allowed,
            ),
            stop=self.stop,
            kill_grace_seconds=self._parts.kill_grace_seconds,
            limits=self._parts.limits,
            carry=carry,
            memory=self._memory,
            connection=connection,
            patience=self._parts.patience,
        )

    async def _work(self, job: Job, since: completion.Baseline | None) -> t.TurnReport:
        agent = self._parts.agent_for(job.agent.kind)
        if agent is None:
            begin(job, self._sink)
            message = f"this worker has no agent of kind {job.agent.kind!r}"
            return self._failed(ErrorInfo(code=INTERNAL, message=message))
        result = await self._watched(agent, job)
        await self.output.flush()
        await self._memory.leave(result.carry)
        if result.stopped and self.stop.cause != "timeout":
            return self._stopped(result)
        if result.stopped:
            seconds = self._request.turn_timeout_seconds
            message = f"the turn took longer than turn_timeout_seconds ({seconds:g} s)"
            return self._failed(ErrorInfo(code=TURN_TIMEOUT, message=message, retryable=True), result)
        if result.error is not None:
            await self._check_newest()
            return self._failed(result.error, result)
        return await self._completed(result, since)

    def _watch(self, root: Path) -> Workspace:
        request = self._request
        return Workspace(
            root,
            self._sink.say,
            logs=request.watched_logs,
            include=request.watch.include,
            exclude=request.watch.exclude,
        )

    async def _watched(self, agent: Agent, job: Job) -> Result:
        """Run the agent with the watch on its working directory."""
        if self._workspace is None:
            return await agent.run(job, self._sink)
        self._sink.watch = self._workspace
        async with self._workspace:
            return await agent.run(job, self._sink)

    async def _since(self, found: completion.Baseline | None) -> completion.Baseline | None:
        """What the completion log held when the run began; the first attempt of all keeps it for the others."""
        kept = self._run.row["baseline"]
        if found is not None:
            kept = await self._parts.store.runs.begin_log(self._run.run_id, found.model_dump_json())
        return None if kept is None else completion.Baseline.model_validate_json(kept)

    async def _warn_if_shared(self) -> None:
        if self._task.turn > 1:
            return
        if others := await self._parts.store.runs.sharing(self._run.run_id):
            message = f"{', '.join(others)} work in {self._root} too"
            self._sink.say("warning", Warned(code=WORKING_DIR_SHARED, message=message))

    async def _verdict(self, since: completion.Baseline | None, result: Result) -> CompletionVerdict:
        if since is not None and self._root is not None:
            found = await asyncio.to_thread(
                completion.judge, self._root, self._request.completion, since, self._task.started_at
            )
            if found.detected:
                return found
        return CompletionVerdict(detected=True, source="agent") if result.done else CompletionVerdict()

    # The last words of each outcome.

    async def _completed(self, result: Result, since: completion.Baseline | None) -> t.TurnReport:
        verdict = await self._verdict(since, result)
        if verdict.detected and verdict.source is not None and verdict.source != "agent":
            self._sink.say("completion_detected", CompletionDetected(source=verdict.source, line=verdict.line))
        done = ResponseDone(
            response_id=self._response_id, status="complete", usage=result.usage, finish_reason=result.finish_reason
        )
        going_on = not (
            verdict.detected or self._request.max_turns == self._task.turn or self._has_used_up_its_budget(result)
        )
        report = t.TurnReport(attempt=self.number, outcome="completed", completion=verdict)
        report = _told(report, result)
        completed = TurnCompleted(usage=result.usage, should_continue=going_on)
        await self._keep(report, {"response_done": done, "turn_completed": completed})
        self._sink.say("response_done", done)
        self._sink.say("turn_completed", completed)
        return report

    def _has_used_up_its_budget(self, result: Result) -> bool:
        """As the workflow will judge a moment later, by the projector's figures."""
        tokens = self._task.tokens + (result.usage.total_tokens if result.usage else 0)
        worked_ms = now_ms() - self._task.started_at - self._task.paused_ms
        return self._request.budget.is_used_up(tokens, worked_ms / 1000)

    async def _keep(self, report: t.TurnReport, words: Mapping[str, Payload]) -> None:
        """Keep the report, so that no later attempt does the turn again: it would only have to say the last words."""
        await self.writer.flush()
        said = tuple(
            t.Said(type=type_, at=now_ms(), payload=payload.model_dump(mode="json")) for type_, payload in words.items()
        )
        here, epoch = self._run.run_id, self.writer.speaker.epoch
        opening = tuple(
            t.KeptEntry(seq=entry.seq, type=entry.type, event=entry.event.decode())
            for entry in self._parts.log.held(here, epoch, _OPENING)
        )
        kept = t.KeptReport(**report.model_dump(), opening=opening, words=said)
        await self._parts.store.turns.keep_report(here, self._task.turn, self.number, kept.model_dump_json())

    async def _check_newest(self) -> None:
        """A newer attempt has ended what was left of this one; that is no failure of the agent."""
        newest = await self._parts.store.turns.newest_attempt(self._run.run_id, self._task.turn)
        if newest is not None and newest > self.number:
            raise Orphaned(f"{self._run.run_id} turn {self._task.turn}: attempt {newest} has taken over")

    def _failed(self, error: ErrorInfo, result: Result | None = None) -> t.TurnReport:
        will_retry = error.retryable and self._task.failures + 1 < self._task.turn_attempts
        self._sink.say("response_error", ResponseError(response_id=self._response_id, error=error))
        self._sink.say("turn_failed", TurnFailed(error=error, will_retry=will_retry))
        return _told(t.TurnReport(attempt=self.number, outcome="failed", error=error), result)

    def _stopped(self, result: Result | None) -> t.TurnReport:
        """The run writes the end of a stopped attempt, as it knows the reason."""
        if self.stop.cause == "shutdown":
            message = f"the worker shuts down; attempt {self.number} is handed over"
            self._sink.say("warning", Warned(code=WORKER_SHUTDOWN, message=message))
            raise HandedOver(message)
        if self.stop.cause == "orphaned":
            raise Orphaned(f"{self._run.run_id} turn {self._task.turn}: Temporal has given attempt {self.number} up")
        return _told(t.TurnReport(attempt=self.number, outcome="stopped"), result)


def _told(report: t.TurnReport, result: Result | None) -> t.TurnReport:
    if result is None:
        return report
    quiet = result.quiet
    return report.model_copy(
        update={
            "carry": dict(result.carry),
            "quiet_at": quiet.at, "signals": quiet.signals, "reaped": quiet.reaped, "survivors": quiet.survivors,
        }
    )  # fmt: skip
