"""A conversation as Anthropic's Messages API wants it.

Its rules: user and assistant take turns, so neighbours of one role share a message; each `tool_use` is answered by a
`tool_result` in the very next message, before any text in it; ids of calls are unique; text is never blank; the first
message is the user's.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from cody.agents.model.conversation import INTERRUPTED
from cody.agents.model.protocol import Entry, Kept, Question, UserText
from cody.contract.items import FunctionCallItem, FunctionCallOutputItem, MessageItem, ReasoningItem

if TYPE_CHECKING:
    from anthropic.types import MessageParam, ToolParam

KIND: Final = "anthropic"
NOTHING_SAID: Final = "(nothing)"
"""Stands where the conversation needs a word of the user's and there is none."""
_CACHED: Final = {"cache_control": {"type": "ephemeral"}}
_NOT_IN_NAME: Final = re.compile(r"[^A-Za-z0-9_-]")

Block = dict[str, Any]


def messages_of(question: Question) -> "list[MessageParam]":
    """The conversation. Of what is asked again soon, with tools or after earlier turns, the prefix is to be cached."""
    messages = _Conversation(question.entries).messages
    if question.tools or len(messages) > 1:
        messages[-1]["content"][-1].update(_CACHED)
    for message in messages:
        match message["content"]:
            case [{"type": "text", "text": text, **others}] if not others:
                message["content"] = text
            case _:
                pass
    return cast("list[MessageParam]", messages)


def tools_of(question: Question) -> "list[ToolParam]":
    """The tools on offer. A history with calls must name some, so those are named where a turn itself has none."""
    if question.tools:
        offered = [
            {"name": tool.name, "description": tool.description, "input_schema": dict(tool.parameters)}
            for tool in question.tools
        ]
    else:
        calls = [entry.item for entry in question.entries if isinstance(entry, Kept)]
        names = dict.fromkeys(_name(call.name) for call in calls if isinstance(call, FunctionCallItem))
        offered = [
            {"name": name, "description": "Not available now.", "input_schema": {"type": "object"}} for name in names
        ]
    return cast("list[ToolParam]", offered)


class _Conversation:
    """Builds the messages; after that, `messages` is not empty, and each has blocks."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.messages: list[dict[str, Any]] = []
        self._outputs = _outputs(entries)
        self._ids: set[str] = set()
        self._unanswered: list[tuple[str, FunctionCallOutputItem | None]] = []
        for position, entry in enumerate(entries):
            self._add(position, entry)
        self._answer()
        if not self.messages:
            self._put("user", _text(NOTHING_SAID))

    def _add(self, position: int, entry: Entry) -> None:
        if isinstance(entry, UserText):
            self._answer()
            self._put("user", _text(entry.text if entry.text.strip() else NOTHING_SAID))
            return
        match entry.item:
            case MessageItem(origin="agent", content=content):
                if content.strip():
                    self._put("assistant", _text(content))
            case MessageItem(content=content):
                if content.strip():
                    self._answer()
                    self._put("user", _text(content))
            case ReasoningItem() if entry.replay is not None and entry.replay.get("provider") == KIND:
                self._put("assistant", dict(entry.replay["block"]))
            case FunctionCallItem() as call:
                call_id = self._unique(call.call_id)
                block = {
                    "type": "tool_use",
                    "id": call_id,
                    "name": _name(call.name),
                    "input": _arguments(call.arguments),
                }
                self._put("assistant", block)
                self._unanswered.append((call_id, self._outputs.get(position)))
            case FunctionCallOutputItem():
                self._answer()
            case _:
                pass

    def _answer(self) -> None:
        """The outputs of the calls of the message before, all of them."""
        for call_id, output in self._unanswered:
            text, success = (output.output, output.success) if output is not None else (INTERRUPTED, False)
            block: Block = {"type": "tool_result", "tool_use_id": call_id, "content": text}
            if not success:
                # The API refuses an error that says nothing.
                block |= {"content": text if text.strip() else NOTHING_SAID, "is_error": True}
            self._put("user", block)
        self._unanswered.clear()

    def _put(self, role: str, block: Block) -> None:
        if role == "assistant" and not self.messages:
            self._put("user", _text(NOTHING_SAID))
        if not self.messages or self.messages[-1]["role"] != role:
            self.messages.append({"role": role, "content": []})
        self.messages[-1]["content"].append(block)

    def _unique(self, wanted: str) -> str:
        cleaned = _NOT_IN_NAME.sub("_", wanted) or "call"
        call_id, number = cleaned, 1
        while call_id in self._ids:
            number += 1
            call_id = f"{cleaned}_{number}"
        self._ids.add(call_id)
        return call_id


def _outputs(entries: Sequence[Entry]) -> Mapping[int, FunctionCallOutputItem]:
    """Each call's output, by the call's position: other agents interleave them, and use an id in every turn anew."""
    waiting: dict[str, int] = {}
    found: dict[int, FunctionCallOutputItem] = {}
    for position, entry in enumerate(entries):
        match entry:
            case Kept(item=FunctionCallItem(call_id=call_id)):
                waiting[call_id] = position
            case Kept(item=FunctionCallOutputItem(call_id=call_id) as output) if call_id in waiting:
                found[waiting.pop(call_id)] = output
            case _:
                pass
    return found


def _text(text: str) -> Block:
    return {"type": "text", "text": text}


def _name(name: str) -> str:
    """In the characters and the length that the API allows."""
    return _NOT_IN_NAME.sub("_", name)[:128] or "tool"


def _arguments(arguments: str) -> Block:
    """The arguments as the object that the API wants; what a model wrote that is none, as text inside of one."""
    try:
        parsed = json.loads(arguments or "{}")
    except ValueError:
        parsed = None
    return cast("Block", parsed) if isinstance(parsed, dict) else {"arguments": arguments}
