"""The events of Anthropic's Messages API, read strictly into items.

An answer is `message_start`, then blocks one after the other, each `content_block_start`, deltas, `content_block_stop`;
then `message_delta` with the reason and the tokens, then `message_stop`. Types of events, blocks and deltas that are
not known are passed over, as the API asks of its clients; whatever else is not as described fails the answer.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, NonNegativeInt, TypeAdapter, ValidationError

from cody.agents.model.failures import broke_off, malformed
from cody.agents.model.items import Items, OutOfOrder
from cody.agents.model.protocol import Answer
from cody.contract.items import FunctionCallItem, Item, ItemType, MessageItem, ReasoningItem
from cody.contract.usage import Usage

FINISH_REASONS: Final[Mapping[str, str]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
}
"""The contract's word for a `stop_reason`; others, such as `refusal`, pass through."""

DELTAS: Final[Mapping[str, tuple[str, str]]] = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "thinking"),
    "signature_delta": ("thinking", "signature"),
    "input_json_delta": ("tool_use", "partial_json"),
}
"""By the delta's type: the type of block that it belongs to, and the field that adds to it."""


class _Details(BaseModel):
    thinking_tokens: NonNegativeInt | None = None


class _Counts(BaseModel):
    """Tokens so far: each event's counts include those of the events before it."""

    input_tokens: NonNegativeInt | None = None
    output_tokens: NonNegativeInt | None = None
    cache_creation_input_tokens: NonNegativeInt | None = None
    cache_read_input_tokens: NonNegativeInt | None = None
    output_tokens_details: _Details | None = None


class _Message(BaseModel):
    id: str
    usage: _Counts | None = None


class _MessageStart(BaseModel):
    message: _Message


_Text = Annotated[str, BeforeValidator(lambda value: "" if value is None else value)]
"""Some gateways write null where there is nothing."""


class _BlockHead(BaseModel):
    type: str
    id: _Text = ""
    name: _Text = ""
    text: _Text = ""
    thinking: _Text = ""
    signature: _Text = ""
    data: _Text = ""
    input: Any = None


class _BlockStart(BaseModel):
    index: int
    content_block: _BlockHead


class _Delta(BaseModel):
    type: str
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: str | None = None


class _BlockDelta(BaseModel):
    index: int
    delta: _Delta


class _BlockStop(BaseModel):
    index: int


class _Ending(BaseModel):
    stop_reason: str | None = None


class _MessageDelta(BaseModel):
    delta: _Ending
    usage: _Counts | None = None


class _Error(BaseModel):
    error: Any


_OBJECT: Final = TypeAdapter(dict[str, Any])
_EVENTS: Final[Mapping[str, type[BaseModel]]] = {
    "message_start": _MessageStart,
    "content_block_start": _BlockStart,
    "content_block_delta": _BlockDelta,
    "content_block_stop": _BlockStop,
    "message_delta": _MessageDelta,
    "error": _Error,
}


class Reading:
    """Reads one answer, event after event, and tells `items` of it. `answer` is there once it is whole."""

    def __init__(self, items: Items) -> None:
        self._items = items
        self._message: str | None = None
        self._blocks: dict[int, _Block] = {}
        self._stop_reason: str | None = None
        self._usage: Usage | None = None
        self._counts: dict[str, int] = {}
        self._called = False
        self.answer: Answer | None = None

    def hear(self, data: str) -> None:
        """The next event's data. Raises ProviderFailed and OutOfOrder."""
        if not data:
            return  # an event without data is none, by the rules of event streams
        try:
            event = _OBJECT.validate_json(data)
            type_ = event.get("type")
            if not isinstance(type_, str):
                raise malformed(f"an event without a type: {data[:200]}")
            if type_ == "message_stop":
                self._stop()
            elif (model := _EVENTS.get(type_)) is not None:
                self._apply(model.model_validate(event))
        except ValidationError as error:
            fault = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, fault["loc"]))
            raise malformed(f"an event that is not valid ({where} {fault['msg']}): {data[:200]}") from error

    def _apply(self, event: BaseModel) -> None:
        match event:
            case _Error(error=error):
                raise broke_off(error)
            case _MessageStart(message=message):
                if self._message is not None:
                    raise OutOfOrder(f"message {message.id!r} began within {self._message!r}")
                self._message = message.id
                self._count(message.usage)
            case _ if self._message is None:
                raise OutOfOrder(f"{type(event).__name__.removeprefix('_')} before any message began")
            case _BlockStart(index=index, content_block=head):
                if index in self._blocks:
                    raise OutOfOrder(f"block {index} began twice")
                self._called = self._called or head.type == "tool_use"
                self._blocks[index] = _Block(self._items, f"{self._message}_{index}", head)
            case _BlockDelta(index=index, delta=delta):
                self._block(index).add(delta)
            case _BlockStop(index=index):
                self._block(index).stop()
            case _MessageDelta(delta=ending, usage=counts):
                self._stop_reason = ending.stop_reason or self._stop_reason
                self._count(counts)
            case _:
                pass

    def _block(self, index: int) -> "_Block":
        block = self._blocks.get(index)
        if block is None or block.stopped:
            raise OutOfOrder(f"block {index} has not begun, or is done")
        return block

    def _stop(self) -> None:
        if self._message is None:
            raise OutOfOrder("a message stopped before it began")
        if unfinished := [index for index, block in self._blocks.items() if not block.stopped]:
            raise OutOfOrder(f"the message stopped within block {unfinished[0]}")
        reason = self._stop_reason or ("tool_use" if self._called else "end_turn")
        self.answer = Answer(FINISH_REASONS.get(reason, reason), _usage(self._counts))

    def _count(self, counts: _Counts | None) -> None:
        if counts is None:
            return
        said = counts.model_dump(exclude_none=True, exclude={"output_tokens_details"})
        if counts.output_tokens_details is not None and counts.output_tokens_details.thinking_tokens is not None:
            said["thinking_tokens"] = counts.output_tokens_details.thinking_tokens
        for name, number in said.items():
            self._counts[name] = max(number, self._counts.get(name, 0))


def _usage(counts: Mapping[str, int]) -> Usage | None:
    """The contract's counts; Anthropic's `input_tokens` are those that no cache was written or read for."""
    if not counts:
        return None
    cached = counts.get("cache_read_input_tokens")
    prompt = counts.get("input_tokens", 0) + counts.get("cache_creation_input_tokens", 0) + (cached or 0)
    completion = counts.get("output_tokens", 0)
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=prompt + completion,
        cached_tokens=cached,
        reasoning_tokens=counts.get("thinking_tokens"),
    )


class _Block:
    """A block of the answer: an item while its type is one that we know, else nothing."""

    _ITEM_TYPES: Final[Mapping[str, ItemType]] = {
        "text": "message",
        "thinking": "reasoning",
        "redacted_thinking": "reasoning",
        "tool_use": "function_call",
    }

    def __init__(self, items: Items, key: str, head: _BlockHead) -> None:
        self.stopped = False
        self._items, self._key, self._head = items, key, head
        self._parts: dict[str, list[str]] = {"text": [], "thinking": [], "signature": [], "partial_json": []}
        item_type = self._ITEM_TYPES.get(head.type)
        self._known = item_type is not None
        if item_type is None:
            return
        if head.type == "tool_use":
            if not head.id or not head.name:
                raise malformed(f"a tool_use block without id or name: {head!r}")
            items.start(key, head.id, item_type, name=head.name, call_id=head.id)
            return
        items.start(key, key, item_type)
        for field in ("text", "thinking", "signature"):
            self._append(field, getattr(head, field))

    def add(self, delta: _Delta) -> None:
        """More of it."""
        belongs, field = DELTAS.get(delta.type, (None, ""))
        if not self._known or belongs is None:
            return
        if belongs != self._head.type:
            raise malformed(f"a {delta.type} in a block of type {self._head.type}")
        text = getattr(delta, field)
        if text is None:
            raise malformed(f"a {delta.type} without {field}")
        self._append(field, text)

    def stop(self) -> None:
        """It is whole."""
        self.stopped = True
        if self._known:
            item, replay = self._whole()
            self._items.done(self._key, item, replay)

    def _append(self, field: str, text: str) -> None:
        self._parts[field].append(text)
        if field != "signature":
            self._items.delta(self._key, text)

    def _said(self, field: str) -> str:
        return "".join(self._parts[field])

    def _whole(self) -> tuple[Item, Mapping[str, Any] | None]:
        head = self._head
        match head.type:
            case "text":
                return MessageItem(id=self._key, content=self._said("text")), None
            case "thinking":
                thinking, signature = self._said("thinking"), self._said("signature")
                # Without its signature the API does not take it back.
                block = {"type": "thinking", "thinking": thinking, "signature": signature} if signature else None
                return ReasoningItem(id=self._key, content=thinking), _replay(block)
            case "redacted_thinking":
                return ReasoningItem(id=self._key), _replay({"type": "redacted_thinking", "data": head.data})
            case _:
                # A call without arguments streams none; gateways give them whole in the block's head.
                arguments = self._said("partial_json") or json.dumps(head.input or {})
                return FunctionCallItem(id=self._key, name=head.name, arguments=arguments, call_id=head.id), None


def _replay(block: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    return {"provider": "anthropic", "block": block} if block is not None else None
