"""Does a turn through a driver (see `cody.agents.drivers`): the part of it that lives in the worker."""

import asyncio
import sys
from collections.abc import Mapping
from typing import Any

from cody.agents.base import Job, Quiet, Result, Sink, begin
from cody.agents.conversation import as_text
from cody.agents.drivers.speech import End, Line, Order
from cody.agents.keepers import Keepers
from cody.agents.listening import Listening
from cody.agents.pipes import Output
from cody.agents.process import AgentProcess, SpawnError
from cody.clock import now_ms
from cody.contract.errors import AGENT_EXIT, ErrorInfo
from cody.contract.events import PAYLOADS

STOP_SIGNALS = ("SIGINT", "SIGTERM")
INTERRUPT_SHARE = 0.4
"""Of the grace: how long the agent's own interrupt may take before there are signals."""


class DrivenAgent:
    """An agent whose turns are done by the driver `cody.agents.drivers.<driver>`."""

    def __init__(self, keepers: Keepers, driver: str, environment: Mapping[str, str] | None = None) -> None:
        self._keepers = keepers
        self._driver = driver
        self._environment = environment or {}

    async def run(self, job: Job, sink: Sink) -> Result:
        """Do the turn, see `Agent.run`."""
        if job.working_dir is None:
            raise TypeError(f"an agent of kind {job.agent.kind} works in a directory")
        if job.stop.requested.is_set():
            begin(job, sink)
            return Result(Quiet(now_ms()), stopped=True)
        try:
            process = await self._keepers.spawn(
                [sys.executable, "-I", "-X", "utf8", "-m", "cody.agents.drivers", self._driver],
                cwd=job.working_dir,
                env={**job.env, **self._environment},
                stdin=_order(job, await _conversation(job)),
                hold_stdin=True,
                grace_seconds=job.kill_grace_seconds,
            )
        except SpawnError as error:
            begin(job, sink)
            failure = ErrorInfo(code=AGENT_EXIT, message=str(error), retryable=error.at != "cwd")
            return Result(Quiet(now_ms()), error=failure)
        try:
            return await _Drive(job, sink, process).run()
        finally:
            process.close()


async def _conversation(job: Job) -> str:
    """What a session that has to begin is told of the thread. A run's later turns have prompts that say all."""
    return as_text(await job.memory.thread()) if job.turn == 1 else ""


def _order(job: Job, conversation: str) -> bytes:
    order = Order(
        agent=job.agent.model_dump(mode="json"),
        prompt=job.prompt,
        conversation=conversation,
        attempt=job.attempt,
        response_id=job.response_id,
        carry=dict(job.carry),
        base_url=job.connection.base_url,
        api_key=job.connection.api_key,
        answer_seconds=job.patience.answer_seconds,
        silence_seconds=job.patience.silence_seconds,
        max_output_bytes=job.limits.max_bytes,
        max_output_events_per_second=job.limits.max_events_per_second,
    )
    return order.model_dump_json().encode() + b"\n"


class _Drive:
    """One driver's life."""

    def __init__(self, job: Job, sink: Sink, process: AgentProcess) -> None:
        self._job = job
        self._sink = sink
        self._process = process
        self._began = False
        self._end: End | None = None
        self._carry: dict[str, Any] = dict(job.carry)

    async def run(self) -> Result:
        """Until nothing of it is left."""
        process, job = self._process, self._job
        listening = Listening(job, self._sink)
        async with process.attended(job.kill_grace_seconds, STOP_SIGNALS) as group:
            group.create_task(self._listen(process.stdout))
            group.create_task(listening.listen("stderr", process.stderr))
            quiet, stopped = await self._until_quiet()
        listening.finish()
        self._begin(None)
        return self._result(quiet, stopped, (await process.wait()).code, listening.stderr_tail())

    def _result(self, quiet: Quiet, stopped: bool, code: int | None, stderr: str) -> Result:
        end = self._end or End(carry=self._carry)
        error = end.error
        if self._end is None and not stopped:
            message = (
                f"the driver of {self._job.agent.kind} ended with code {code} before the turn did: {stderr.strip()}"
            )
            error = ErrorInfo(code=AGENT_EXIT, message=message, retryable=True, details={"exit_code": code})
        return Result(
            quiet,
            error=None if stopped else error,
            stopped=stopped,
            finish_reason=end.finish_reason,
            usage=end.usage,
            carry=end.carry or self._carry,
        )

    async def _until_quiet(self) -> tuple[Quiet, bool]:
        """Wait for the end; when it is asked for, by the agent's own interrupt first, then by signals."""
        job, process = self._job, self._process
        stop = asyncio.create_task(job.stop.requested.wait())
        exited = asyncio.create_task(process.wait())
        try:
            await asyncio.wait((stop, exited), return_when=asyncio.FIRST_COMPLETED)
            if exited.done():
                return await process.quiet(), False
            process.hang_up()
            patience = job.kill_grace_seconds * INTERRUPT_SHARE
            await asyncio.wait((exited,), timeout=patience)
            return await process.end(job.kill_grace_seconds - patience, STOP_SIGNALS), True
        finally:
            stop.cancel()
            exited.cancel()

    async def _listen(self, output: Output) -> None:
        """Read the driver's lines to the end of its stdout."""
        rest = b""
        while chunk := await output.read(None):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._hear(line)
            await self._sink.ready()

    def _hear(self, raw: bytes) -> None:
        line = Line.model_validate_json(raw)
        if line.begin is not None:
            self._begin(line.begin.model)
        elif line.say is not None:
            self._begin(None)
            self._sink.emit(line.say.type, PAYLOADS[line.say.type].model_validate(line.say.payload))
        elif line.keep is not None:
            self._sink.keep(line.keep.encode())
        elif line.remember is not None:
            self._carry = line.remember
            self._sink.remember(line.remember)
        elif line.end is not None:
            self._end = line.end

    def _begin(self, model: str | None) -> None:
        if not self._began:
            self._began = True
            begin(self._job, self._sink, pid=self._process.pid, model=model)
