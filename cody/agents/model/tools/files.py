"""The frame of the tools that work on files: off the event loop, inside the working directory, told once it is done."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from cody.agents.base import Sink
from cody.agents.model.protocol import ToolSpec
from cody.agents.model.tools.arguments import Arguments, schema_of, understood
from cody.agents.model.tools.folder import Folder
from cody.agents.model.tools.tool import Refusal, ToolOutput
from cody.agents.reports import Report

MAX_TEXT_BYTES = 64 * 1024
"""What one call may tell a model, so that a conversation of many calls stays within what a model can take."""

A = TypeVar("A", bound=Arguments)


@dataclass(frozen=True)
class Done:
    """What a file tool has to tell: the model its text, the log its events."""

    text: str
    reports: tuple[Report, ...] = ()


@dataclass(frozen=True)
class FileTool(Generic[A]):
    """A tool that works on files: `work` is blocking, and raises Refusal or OSError."""

    name: str
    description: str
    arguments: type[A]
    work: Callable[[Folder, A], Done]

    @property
    def spec(self) -> ToolSpec:
        """What the model is told."""
        return ToolSpec(self.name, self.description, schema_of(self.arguments))

    def bound(self, root: Path, sink: Sink) -> "BoundFileTool[A]":
        """The tool of a turn that works in `root`."""
        return BoundFileTool(self, root, sink)


class BoundFileTool(Generic[A]):
    """See `tool.Tool`. It is short, so it does not give up: what it began it finishes, and tells."""

    def __init__(self, tool: FileTool[A], root: Path, sink: Sink) -> None:
        self._tool = tool
        self._root = root
        self._sink = sink

    @property
    def spec(self) -> ToolSpec:
        """What the model is told."""
        return self._tool.spec

    async def call(self, arguments: str, given_up: asyncio.Event) -> ToolOutput:
        """Do it in a thread."""
        asked = understood(self._tool.name, self._tool.arguments, arguments)
        done = await asyncio.to_thread(self._work, asked)
        for report in done.reports:
            self._sink.emit(report.type, report.payload)
        return ToolOutput(done.text, success=True)

    def _work(self, asked: A) -> Done:
        try:
            with Folder(self._root) as folder:
                return self._tool.work(folder, asked)
        except OSError as error:
            # The path as the model knows it: the error's own is relative to some descriptor.
            path = getattr(asked, "path", "the file")
            raise Refusal(f"{path}: {error.strerror or error}") from error
