"""The `command` agent: any command; it reads the prompt on stdin, and what it prints is the turn."""

import asyncio
import os
import signal
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from cody.agents.base import Job, Quiet, Result, Sink, begin
from cody.agents.environment import PROMPT_FILE
from cody.agents.keepers import Keepers
from cody.agents.listening import Listening
from cody.agents.process import AgentProcess, Exit, SpawnError
from cody.clock import now_ms
from cody.contract.agents import CommandAgent as CommandSpec
from cody.contract.errors import AGENT_EXIT, WORKER_LOST, WORKING_DIR_GONE, ErrorInfo
from cody.contract.items import MessageItem
from cody.contract.payloads import ItemDelta, ItemDone, ItemStart

KIND = "command"
STOP_SIGNALS = ("SIGTERM",)
"""A command has no clean interrupt that one could know of."""
FINAL_EXIT_CODES = frozenset({126, 127})
"""What cannot be executed or found will not be at the next attempt."""


class CommandAgent:
    """Runs the command of a `command` job."""

    def __init__(self, keepers: Keepers) -> None:
        self._keepers = keepers

    async def run(self, job: Job, sink: Sink) -> Result:
        """Do the turn, see `Agent.run`. What the sink raises ends the processes and is raised."""
        spec = job.agent
        if not isinstance(spec, CommandSpec) or job.working_dir is None:
            raise TypeError("a command job has a command and a working directory")
        name = spec.model_name
        if job.stop.requested.is_set():
            begin(job, sink)
            return Result(Quiet(now_ms()), stopped=True)
        with _prompt_file(job) as path:
            env = {**job.env, PROMPT_FILE: path}
            try:
                process = await self._keepers.spawn(
                    spec.command,
                    cwd=job.working_dir,
                    env=env,
                    stdin=job.prompt.encode(),
                    grace_seconds=job.kill_grace_seconds,
                )
            except SpawnError as error:
                begin(job, sink)
                return Result(Quiet(now_ms()), error=_not_started(error))
            try:
                return await _attend(job, sink, name, process)
            finally:
                process.close()


async def _attend(job: Job, sink: Sink, name: str, process: AgentProcess) -> Result:
    """From the start of the process until nothing is left of it and all of its output is told."""
    listening = Listening(job, sink)
    async with process.attended(job.kill_grace_seconds, STOP_SIGNALS) as group:
        begin(job, sink, pid=process.pid)
        group.create_task(listening.listen("stdout", process.stdout))
        group.create_task(listening.listen("stderr", process.stderr))
        quiet, stopped = await _until_quiet(job, process)
    listening.finish()
    _say_message(job, sink, listening.last_words())
    error = None if stopped else _failure(name, await process.wait())
    return Result(quiet, error=error, stopped=stopped, done=listening.done, usage=listening.usage)


async def _until_quiet(job: Job, process: AgentProcess) -> tuple[Quiet, bool]:
    """Wait for the end, and bring it about when it is asked for before the command has ended by itself."""
    stop = asyncio.create_task(job.stop.requested.wait())
    exited = asyncio.create_task(process.wait())
    try:
        await asyncio.wait((stop, exited), return_when=asyncio.FIRST_COMPLETED)
        if exited.done():
            return await process.quiet(), False
        return await process.end(job.kill_grace_seconds, STOP_SIGNALS), True
    finally:
        stop.cancel()
        exited.cancel()


def _say_message(job: Job, sink: Sink, text: str) -> None:
    """The response's one item: the end of what the command printed."""
    if not text:
        return
    item_id = f"msg_{job.attempt}"
    sink.emit("item_start", ItemStart(item_id=item_id, item_type="message", origin="agent"))
    sink.emit("item_delta", ItemDelta(item_id=item_id, delta_content=text))
    sink.emit("item_done", ItemDone(item_id=item_id, final_item=MessageItem(id=item_id, content=text)))


def _not_started(error: SpawnError) -> ErrorInfo:
    if error.at == "cwd":
        return ErrorInfo(code=WORKING_DIR_GONE, message=f"the working directory cannot be entered: {error}")
    if error.at == "exec":
        return ErrorInfo(code=AGENT_EXIT, message=str(error), details={"exit_code": error.exit_code})
    return ErrorInfo(code=AGENT_EXIT, message=str(error), retryable=True)


def _failure(name: str, end: Exit) -> ErrorInfo | None:
    """The error that an exit is; a signal counts as a shell counts it."""
    if end.code == 0:
        return None
    if end.code is None:
        return ErrorInfo(code=WORKER_LOST, message=f"the process that kept {name} was lost", retryable=True)
    code, how = end.code, f"exited with code {end.code}"
    if code < 0:
        code, how = 128 - code, f"was ended by {_signal_name(-code)}"
    return ErrorInfo(
        code=AGENT_EXIT,
        message=f"{name} {how}",
        retryable=code not in FINAL_EXIT_CODES,
        details={"exit_code": code},
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


@contextmanager
def _prompt_file(job: Job) -> Generator[str]:
    """The prompt in a file that only this user can read, gone with the attempt."""
    file, path = tempfile.mkstemp(prefix="cody-prompt-", suffix=".txt")
    try:
        with os.fdopen(file, "w", encoding="utf-8", newline="") as prompt:
            prompt.write(job.prompt)
        yield path
    finally:
        with suppress(OSError):  # the agent may have removed it itself, or put something else in its place
            Path(path).unlink()
