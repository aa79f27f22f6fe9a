"""`shell`: a command in the working directory, as a process under the same rules as an agent's own.

Everything that it started ends with it. It is not sandboxed: it may do whatever the worker's user may.
"""

import asyncio
import shutil
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field

from cody.agents.base import Job, Quiet, Sink
from cody.agents.keepers import Keepers
from cody.agents.model.protocol import ToolSpec
from cody.agents.model.tools.arguments import Arguments, schema_of, understood
from cody.agents.model.tools.hearing import Hearing
from cody.agents.model.tools.tool import Refusal, ToolOutput
from cody.agents.output import Stream, Throttle
from cody.agents.process import AgentProcess, SpawnError
from cody.clock import now_ms

NAME = "shell"
DEFAULT_SECONDS = 120.0
MAX_SECONDS = 24 * 3600.0
STOP_SIGNALS = ("SIGTERM",)
DESCRIPTION = """Run a command in the working directory and wait for its end. A string is run by bash (sh where there \
is none), a list is a program with its arguments, run without a shell. Nothing can be typed into it. What it leaves in \
the background is ended with it, and all of it after timeout_seconds. Gives the exit code and then what was printed, \
stdout and stderr together; of a long output its beginning and end. It is not sandboxed: unlike the file tools it is \
not confined to the working directory."""


class ShellCommand(Arguments):
    """What `shell` takes."""

    command: Annotated[
        Annotated[str, Field(min_length=1)] | Annotated[list[str], Field(min_length=1)],
        Field(description="A command line for the shell, or a program and its arguments."),
    ]
    timeout_seconds: Annotated[
        float | None,
        Field(gt=0, le=MAX_SECONDS, description=f"How long it may take, {DEFAULT_SECONDS:g} seconds unless told."),
    ] = None


class Shell:
    """See `tool.Tool`. `quiet` adds up how its processes ended."""

    def __init__(self, job: Job, root: Path, sink: Sink, keepers: Keepers) -> None:
        self._job = job
        self._root = root
        self._sink = sink
        self._keepers = keepers
        self._throttles: Mapping[Stream, Throttle] = {
            "stdout": Throttle("stdout", job.limits),
            "stderr": Throttle("stderr", job.limits),
        }
        self.quiet = Quiet(now_ms())

    @property
    def spec(self) -> ToolSpec:
        """What the model is told."""
        return ToolSpec(NAME, DESCRIPTION, schema_of(ShellCommand))

    async def call(self, arguments: str, given_up: asyncio.Event) -> ToolOutput:
        """Run the command to its end, or bring that about once its time is over or it is given up."""
        asked = understood(NAME, ShellCommand, arguments)
        argv = asked.command if isinstance(asked.command, list) else await asyncio.to_thread(self._line, asked.command)
        process = await self._spawn(argv)
        try:
            return await self._attend(process, asked.timeout_seconds or DEFAULT_SECONDS, given_up)
        finally:
            process.close()

    def _line(self, line: str) -> Sequence[str]:
        """The shell that runs a command line."""
        bash = shutil.which("bash", path=self._job.env.get("PATH"))
        return (bash, "-c", line) if bash else ("sh", "-c", line)

    async def _spawn(self, argv: Sequence[str]) -> AgentProcess:
        try:
            return await self._keepers.spawn(
                argv, cwd=self._root, env=self._job.env, grace_seconds=self._job.kill_grace_seconds
            )
        except SpawnError as error:
            if error.at == "cwd":
                raise Refusal(f"the working directory cannot be entered: {error}") from error
            raise Refusal(str(error)) from error

    async def _attend(self, process: AgentProcess, seconds: float, given_up: asyncio.Event) -> ToolOutput:
        """Until nothing is left of it and all of its output is told."""
        hearing = Hearing(self._sink, self._throttles)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(hearing.listen("stdout", process.stdout))
                group.create_task(hearing.listen("stderr", process.stderr))
                quiet, in_time = await self._until_quiet(process, seconds, given_up)
        except BaseExceptionGroup as failed:
            self._add(await process.end(self._job.kill_grace_seconds, STOP_SIGNALS))
            raise failed.exceptions[0] from None
        except BaseException:
            self._add(await process.end(self._job.kill_grace_seconds, STOP_SIGNALS))
            raise
        hearing.finish()
        self._add(quiet)
        code = (await process.wait()).code
        ending = _ending(code) if in_time else f"it was not done after {seconds:g} seconds and was ended"
        text = hearing.transcript.text().replace("\0", "\ufffd")
        return ToolOutput(f"{ending}\n{text}", success=in_time and code == 0)

    async def _until_quiet(self, process: AgentProcess, seconds: float, given_up: asyncio.Event) -> tuple[Quiet, bool]:
        """How it ended, and whether that was by itself."""
        asked = asyncio.create_task(given_up.wait())
        exited = asyncio.create_task(process.wait())
        try:
            await asyncio.wait((asked, exited), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if exited.done():
                return await process.quiet(), True
            return await process.end(self._job.kill_grace_seconds, STOP_SIGNALS), False
        finally:
            asked.cancel()
            exited.cancel()

    def _add(self, quiet: Quiet) -> None:
        before = self.quiet
        survivors = (set(before.survivors) | set(quiet.survivors)) - set(quiet.reaped)
        self.quiet = Quiet(
            at=quiet.at,
            signals=tuple(dict.fromkeys(before.signals + quiet.signals)),
            reaped=tuple(sorted({*before.reaped, *quiet.reaped} - survivors)),
            survivors=tuple(sorted(survivors)),
        )


def _ending(code: int | None) -> str:
    if code is None:
        return "the process that kept the command was lost, and the command with it"
    if code >= 0:
        return f"exit code: {code}"
    return f"exit code: {128 - code} (ended by {_signal_name(-code)})"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
