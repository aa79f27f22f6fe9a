"""What Claude Code's tools did, as telemetry: files read and written, test runs in the output of commands."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from cody.agents.model.items import Ear
from cody.agents.recognise import Recogniser
from cody.contract.payloads import FileRead, FileWritten

WRITING: Final[Mapping[str, str]] = {
    "Write": "file_path", "Edit": "file_path", "MultiEdit": "file_path", "NotebookEdit": "notebook_path",
}  # fmt: skip
"""The tools that write a file, and the argument that names it."""
READING: Final[Mapping[str, str]] = {"Read": "file_path"}
COMMANDS: Final = frozenset({"Bash"})


class ToolReports:
    """Tells of the files and tests of tool calls, a subagent's too. `root` is the working directory."""

    def __init__(self, ear: Ear, root: Path) -> None:
        self._ear = ear
        self._roots = {root, root.resolve()}
        self._calls: dict[str, tuple[str, Mapping[str, Any]]] = {}

    def called(self, call_id: str, name: str, arguments: Mapping[str, Any]) -> None:
        """A tool begins."""
        self._calls[call_id] = (name, arguments)

    def answered(self, call_id: str, output: str, *, success: bool) -> None:
        """A tool has ended."""
        name, arguments = self._calls.pop(call_id, ("", {}))
        if name in COMMANDS:
            self._tests(output)
        elif success and name in WRITING and (path := self._inside(arguments.get(WRITING[name]))):
            self._ear.emit("file_written", FileWritten(path=path, bytes=self._size(path)))
        elif success and name in READING and (path := self._inside(arguments.get(READING[name]))):
            self._ear.emit("file_read", FileRead(path=path, bytes=self._size(path)))

    def _tests(self, output: str) -> None:
        """Claude Code tells a command's output only when it has ended, so a test run's start is told with its end."""
        recogniser = Recogniser()
        found = recogniser.feed("stdout", output)
        found += recogniser.finish("stdout")
        found += recogniser.flush(final=True)
        for report in found:
            self._ear.emit(report.type, report.payload)

    def _inside(self, named: object) -> str | None:
        """The path relative to the working directory; None for one that leads out of it."""
        if not isinstance(named, str) or not named:
            return None
        path = Path(named)
        if ".." in path.parts:
            path = path.resolve()
        if not path.is_absolute():
            return str(path)
        for root in self._roots:
            if path.is_relative_to(root) and path != root:
                return str(path.relative_to(root))
        return None

    def _size(self, path: str) -> int | None:
        """None if it is gone already."""
        for root in self._roots:
            try:
                return (root / path).stat().st_size
            except OSError:
                continue
        return None
