"""The blocks of Claude Code's answers as items: as they stream, or whole where they did not.

Ids are `{message id}_{block index}` for text and thinking, the provider's own id for a call, and `{call id}_output` for
its answer.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol, cast

from cody.agents.model.items import Items
from cody.contract.errors import ErrorInfo
from cody.contract.items import FunctionCallItem, FunctionCallOutputItem, Item, MessageItem, ReasoningItem
from cody.contract.payloads import Payload

Raw = Mapping[str, Any]
BlockType = Literal["message", "reasoning", "function_call"]

TYPES: Final[Mapping[str, BlockType]] = {
    "text": "message",
    "thinking": "reasoning",
    "redacted_thinking": "reasoning",
    "tool_use": "function_call",
}
TEXTS: Final = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}


class Voice(Protocol):
    """Where events go: `cody.agents.drivers.program.Speech`."""

    def begin(self, model: str | None) -> None:
        """The agent is up."""
        ...

    def emit(self, type_: str, payload: Payload) -> None:
        """An event."""
        ...

    def keep(self, text: str) -> None:
        """Text for the kept output."""
        ...

    def remember(self, **carry: Any) -> None:
        """What the next attempt is to know."""
        ...


@dataclass
class _Block:
    """A block of the message that streams."""

    key: str
    type: BlockType
    call_id: str = ""
    name: str = ""
    texts: list[str] = field(default_factory=list[str])


class Blocks:
    """The items of one turn. `message_id` is the message that streams, or did so last."""

    def __init__(self, voice: Voice) -> None:
        self._voice = voice
        self._items = Items(voice)
        self._open: dict[int, _Block] = {}
        self._counted: dict[str, int] = {}
        self._unanswered: dict[str, None] = {}
        self.message_id = ""

    def start(self, index: int, block: Raw) -> None:
        """A block begins to stream; one of a type that has no item is passed over."""
        type_ = TYPES.get(block["type"])
        if type_ is None:
            return
        made = self._open[index] = _made(f"{self.message_id}_{index}", type_, block)
        self._begin(made)

    def delta(self, index: int, delta: Raw) -> None:
        """More of it."""
        block, field_ = self._open.get(index), TEXTS.get(delta["type"])
        if block is None or field_ is None:
            return
        text = str(delta.get(field_, ""))
        block.texts.append(text)
        self._items.delta(block.key, text)
        if block.type == "message":
            self._voice.keep(text)

    def whole(self, message_id: str, block: Raw) -> None:
        """A block came whole: the end of the one that streams, or a block of a message that did not stream."""
        type_ = TYPES.get(block["type"])
        if type_ is None:
            return
        for index, open_ in self._open.items():
            if open_.type == type_ and open_.call_id in ("", block.get("id")):
                self._finish(index, block)
                return
        if message_id == self.message_id:
            return  # it was finished with its message
        number = self._counted.get(message_id, 0)
        self._counted[message_id] = number + 1
        made = _made(f"{message_id}_{number}", type_, block)
        self._begin(made)
        item = _item(made, block)
        text = item.arguments if isinstance(item, FunctionCallItem) else str(getattr(item, "content", ""))
        self._items.delta(made.key, text)
        if made.type == "message":
            self._voice.keep(text)
        self._done(made.key, item)

    def finish(self) -> None:
        """The message has ended properly, and so have its blocks."""
        for index in list(self._open):
            self._finish(index)

    def fail(self, error: ErrorInfo) -> None:
        """What is under way will not be finished, by what the turn failed of."""
        self._items.fail_open(error)
        self._open.clear()

    def abandon(self, reason: str) -> bool:
        """What is under way will not be finished; whether there was anything."""
        for block in self._open.values():
            self._items.cancel(block.key, reason)
        found = bool(self._open)
        self._open.clear()
        return found

    def leave(self, reason: str) -> None:
        """The turn is over: calls without an answer get none any more."""
        for call_id in list(self._unanswered):
            self.answered(call_id, reason, success=False)

    def answered(self, call_id: str, output: str, *, success: bool) -> None:
        """A tool has answered."""
        self._unanswered.pop(call_id, None)
        key = f"{call_id}_output"
        self._items.start(key, key, "function_call_output", call_id=call_id)
        self._items.done(key, FunctionCallOutputItem(id=key, call_id=call_id, output=output, success=success))
        self._voice.keep(f"{output}\n")

    def _begin(self, block: _Block) -> None:
        if block.type == "function_call":
            self._items.start(block.key, block.call_id, block.type, name=block.name, call_id=block.call_id)
        else:
            self._items.start(block.key, block.key, block.type)

    def _finish(self, index: int, whole: Raw | None = None) -> None:
        block = self._open.pop(index)
        self._done(block.key, _item(block, whole or {}))

    def _done(self, key: str, item: Item) -> None:
        self._items.done(key, item)
        if isinstance(item, MessageItem):
            self._voice.keep("\n")
        elif isinstance(item, FunctionCallItem):
            self._unanswered[item.call_id] = None
            self._voice.keep(f"\n[{item.name}] {item.arguments}\n")


def text_of(content: object) -> str:
    """What a tool answered, as text; of what is no text only its kind."""
    if not isinstance(content, list):
        return str(content or "")
    blocks = cast("list[Raw]", content)
    return "\n".join(str(each["text"]) if "text" in each else f"[{each.get('type')}]" for each in blocks)


def _made(key: str, type_: BlockType, block: Raw) -> _Block:
    return _Block(key, type_, str(block.get("id", "")), str(block.get("name", "")))


def _item(block: _Block, whole: Raw) -> Item:
    """The finished item: as it streamed, else as it came whole."""
    streamed = "".join(block.texts)
    if block.type == "message":
        return MessageItem(id=block.key, content=streamed or str(whole.get("text", "")))
    if block.type == "reasoning":
        return ReasoningItem(id=block.key, content=streamed or str(whole.get("thinking", "")))
    arguments = streamed or json.dumps(whole.get("input") or {}, ensure_ascii=False)
    return FunctionCallItem(id=block.call_id, name=block.name, arguments=arguments, call_id=block.call_id)
