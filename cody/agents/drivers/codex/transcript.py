"""Reads along in the file in which Codex writes a thread down (its "rollout"), for the calls that it is silent about.

The SDK's notifications leave calls out: those of tools that do not exist or get bad arguments, patches that do not
apply, commands that fail in the sandbox; and none tells a call's arguments as the model wrote them. The file has every
item of the provider's, in order, as soon as it is whole (measured: within 10 ms). Without the file a turn loses that,
and nothing else.
"""

import asyncio
import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

PATIENCE_SECONDS: Final = 0.5
"""How long a line may be late."""
POLL_SECONDS: Final = 0.005
ENDS: Final = frozenset({"task_complete", "turn_aborted"})


class Call(NamedTuple):
    """The model calls a tool; `arguments` is JSON."""

    id: str
    call_id: str
    name: str
    arguments: str


class Output(NamedTuple):
    """What the model was answered."""

    call_id: str
    text: str


class Spoken(NamedTuple):
    """The model said this item itself; its text is in the notifications."""

    id: str


Entry = Call | Output | Spoken


class Transcript:
    """The entries of a file that are written after `mark`; `pending` are those that were read and not taken yet."""

    def __init__(self, path: str | None) -> None:
        self._path = Path(path) if path else None
        self._place = 0
        self._rest = b""
        self._ended = False
        self.pending: deque[Entry] = deque()

    def mark(self) -> None:
        """What is in the file now is of earlier turns."""
        self._place = self._size()

    def read(self) -> None:
        """Take in what was written since."""
        if self._path is None or self._size() <= self._place:
            return
        with self._path.open("rb") as file:
            file.seek(self._place)
            data = file.read()
        self._place += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self.pending.extend(self._entries(line))

    async def has(self, call_id: str) -> bool:
        """Wait for a call that must have been written by now; False if it is not there in time."""
        return await self._until(
            lambda: any(isinstance(each, Call) and each.call_id == call_id for each in self.pending)
        )

    async def ended(self) -> bool:
        """Wait for the end of the turn, after which nothing of it is written; False if it does not come in time."""
        return await self._until(lambda: self._ended)

    async def _until(self, seen: Callable[[], bool]) -> bool:
        if self._path is None:
            return False
        deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        while True:
            self.read()
            if seen():
                return True
            if asyncio.get_running_loop().time() >= deadline:
                return False
            await asyncio.sleep(POLL_SECONDS)

    def _size(self) -> int:
        try:
            return self._path.stat().st_size if self._path else 0
        except FileNotFoundError:  # it is made with the first turn
            return 0

    def _entries(self, line: bytes) -> Iterator[Entry]:
        try:
            written: object = json.loads(line)
        except ValueError:  # torn by a crash of an earlier Codex
            return
        if not isinstance(written, dict):
            return
        record = cast("dict[str, Any]", written)
        payload: object = record.get("payload")
        if not isinstance(payload, dict):
            return
        item = cast("dict[str, Any]", payload)
        if record.get("type") == "response_item":
            if (entry := entry_of(item)) is not None:
                yield entry
        elif record.get("type") == "event_msg" and item.get("type") in ENDS:
            self._ended = True


def entry_of(item: Mapping[str, Any]) -> Entry | None:
    """What an item of the Responses API is to a turn; None for what the user and Codex itself said."""
    kind, call_id = str(item.get("type")), item.get("call_id") or item.get("id")
    if kind == "reasoning" or (kind == "message" and item.get("role") == "assistant"):
        return Spoken(str(item["id"])) if item.get("id") else None
    if kind in {"function_call", "custom_tool_call", "local_shell_call", "tool_search_call"}:
        return Call(str(item.get("id") or call_id), str(call_id), _name(item, kind), _arguments(item))
    if kind.endswith("_output") and item.get("call_id"):
        return Output(str(item["call_id"]), _text(item.get("output", item.get("tools"))))
    return None


def _name(item: Mapping[str, Any], kind: str) -> str:
    """The tool's name, with that of the group it is in: `mcp__docs__search`, `multi_agent_v1.spawn_agent`."""
    group = str(item.get("namespace") or "")
    return f"{group}{'.' if group and not group.endswith('_') else ''}{item.get('name') or kind.removesuffix('_call')}"


def _arguments(item: Mapping[str, Any]) -> str:
    """As the model wrote them; free text (of a `custom_tool_call`) as the one argument `input`."""
    if "input" in item:
        return json.dumps({"input": item["input"]}, ensure_ascii=False)
    arguments = item.get("arguments", item.get("action"))
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)


def _text(output: object) -> str:
    """The text of an output, which may be a list of parts; what is no text is told as JSON, but for an image's data."""
    if isinstance(output, str):
        return output
    if not isinstance(output, list):
        return json.dumps(output, ensure_ascii=False)
    parts = cast("list[Any]", output)
    return "\n".join(_part(cast("dict[str, Any]", part)) for part in parts if isinstance(part, dict))


def _part(part: Mapping[str, Any]) -> str:
    if "text" in part:
        return str(part["text"])
    if "image_url" in part:
        return "(an image)"
    return json.dumps(part, ensure_ascii=False)
