"""The files that Codex's patches change, as events; what commands write is found by the watch on the directory."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cody.agents.drivers.codex.ear import Told
from cody.contract.payloads import FileDeleted, FileWritten


class Files:
    """Changes below `root`; of others nothing is told, as an event's path is relative to it."""

    def __init__(self, told: Told, root: Path) -> None:
        self._told = told
        self._roots = (root, root.resolve())

    def changed(self, changes: Iterable[Mapping[str, Any]]) -> None:
        """Patches were applied: `path` and `kind` (`add`, `delete`, `update`, which may move the file) of each."""
        for change in changes:
            kind, path = change["kind"], Path(change["path"])
            moved = kind.get("move_path") or kind.get("movePath")
            if kind["type"] == "delete" or moved:
                self._deleted(path)
            if kind["type"] != "delete":
                self._written(Path(moved) if moved else path)

    def _deleted(self, path: Path) -> None:
        if (inside := self._inside(path)) is not None:
            self._told.emit("file_deleted", FileDeleted(path=inside))

    def _written(self, path: Path) -> None:
        if (inside := self._inside(path)) is not None:
            try:
                size = path.stat().st_size
            except OSError:  # gone again
                size = None
            self._told.emit("file_written", FileWritten(path=inside, bytes=size))

    def _inside(self, path: Path) -> str | None:
        path = self._roots[0] / path
        for root in self._roots:
            if path.is_relative_to(root):
                return path.relative_to(root).as_posix()
        return None
