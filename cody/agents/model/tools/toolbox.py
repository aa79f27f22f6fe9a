"""The tools of one turn, as the loop calls them."""

import asyncio
from collections.abc import Sequence

from cody.agents.base import Job, Quiet, Sink
from cody.agents.keepers import Keepers
from cody.agents.model.protocol import ToolSpec
from cody.agents.model.tools.listing import LIST_DIR
from cody.agents.model.tools.patch.tool import APPLY_PATCH
from cody.agents.model.tools.reading import READ_FILE
from cody.agents.model.tools.shell import Shell
from cody.agents.model.tools.tool import Refusal, Tool, ToolOutput
from cody.agents.model.tools.writing import WRITE_FILE
from cody.clock import now_ms

__all__ = ["ToolOutput", "Toolbox"]


class Toolbox:
    """The built-in tools that work in the job's working directory, narrowed to `names`; none without a directory."""

    def __init__(self, job: Job, sink: Sink, keepers: Keepers, names: Sequence[str] | None) -> None:
        self._tools: dict[str, Tool] = {}
        self._shell: Shell | None = None
        if job.working_dir is None:
            return
        self._shell = Shell(job, job.working_dir, sink, keepers)
        tools: tuple[Tool, ...] = (
            *(each.bound(job.working_dir, sink) for each in (READ_FILE, WRITE_FILE, LIST_DIR, APPLY_PATCH)),
            self._shell,
        )
        self._tools = {each.spec.name: each for each in tools if names is None or each.spec.name in names}

    @property
    def specs(self) -> Sequence[ToolSpec]:
        """What the model is told of its tools."""
        return tuple(tool.spec for tool in self._tools.values())

    @property
    def quiet(self) -> Quiet:
        """What the ends of the shell's processes add up to so far."""
        return self._shell.quiet if self._shell else Quiet(now_ms())

    async def call(self, name: str, arguments: str) -> ToolOutput:
        """Run a tool; `arguments` is the JSON text that the model wrote. What the model did wrong is in the output.

        When this is cancelled it brings the tool to its end first: a shell's processes are gone (which takes up to the
        job's grace), what was written is told. Then CancelledError is raised on.
        """
        tool = self._tools.get(name)
        if tool is None:
            return ToolOutput(self._unknown(name), success=False)
        given_up = asyncio.Event()
        work = asyncio.create_task(_called(tool, arguments, given_up))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            given_up.set()
            await _finished(work)
            raise

    def _unknown(self, name: str) -> str:
        known = f"known are {', '.join(self._tools)}" if self._tools else "this turn has no tools"
        return f"there is no tool {name[:200]!r}; {known}"


async def _called(tool: Tool, arguments: str, given_up: asyncio.Event) -> ToolOutput:
    try:
        return await tool.call(arguments, given_up)
    except Refusal as refusal:
        return ToolOutput(str(refusal), success=False)


async def _finished(work: "asyncio.Task[ToolOutput]") -> None:
    """Wait for the end of `work`, however often that is cancelled; raises what it failed with."""
    while not work.done():
        try:
            await asyncio.wait((work,))
        except asyncio.CancelledError:
            continue  # the first one is raised on by whoever waits here
    if not work.cancelled():
        work.result()
