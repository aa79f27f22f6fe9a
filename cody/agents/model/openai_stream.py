"""The events of OpenAI's Responses API, read strictly into items.

An answer is a list of output items: each is added, grows by deltas, and is done; then the response is completed,
incomplete or failed. Types of events, items and parts that are not known are passed over, as the API grows by them;
whatever else is not as described fails the answer. The SDK takes data as it comes: here it is checked.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, cast

from pydantic import BaseModel, BeforeValidator, NonNegativeInt, StrictStr, ValidationError

from cody.agents.model.failures import broke_off, malformed
from cody.agents.model.items import Items, OutOfOrder
from cody.agents.model.openai_input import KIND
from cody.agents.model.protocol import Answer
from cody.contract.items import FunctionCallItem, Item, ItemType, MessageItem, ReasoningItem
from cody.contract.usage import Usage

BETWEEN_PARTS: Final = "\n\n"
"""Between the parts of a reasoning item's summary, which are paragraphs."""

ITEM_TYPES: Final[Mapping[str, ItemType]] = {
    "message": "message",
    "reasoning": "reasoning",
    "function_call": "function_call",
}
"""The items that are told; the API has others, for tools of its own."""

INCOMPLETE: Final[Mapping[str, str]] = {"max_output_tokens": "length"}
"""The contract's word for why a response is incomplete; others, such as `content_filter`, pass through."""

_Text = Annotated[StrictStr, BeforeValidator(lambda value: "" if value is None else value)]
"""Some servers write null where there is nothing."""


class _Part(BaseModel):
    type: str
    text: _Text = ""
    refusal: _Text = ""


class _Item(BaseModel):
    type: str
    id: _Text = ""
    content: list[_Part] | None = None
    summary: list[_Part] | None = None
    encrypted_content: str | None = None
    name: _Text = ""
    arguments: str | None = None
    call_id: _Text = ""


class _ItemEvent(BaseModel):
    output_index: int = 0
    item: _Item


class _Spoken(BaseModel):
    """A delta; the index of its part counts within the parts of its kind."""

    item_id: str
    delta: StrictStr
    summary_index: int = 0
    content_index: int = 0


class _CachedTokens(BaseModel):
    cached_tokens: NonNegativeInt | None = None


class _ReasoningTokens(BaseModel):
    reasoning_tokens: NonNegativeInt | None = None


class _Usage(BaseModel):
    input_tokens: NonNegativeInt = 0
    output_tokens: NonNegativeInt = 0
    total_tokens: NonNegativeInt | None = None
    input_tokens_details: _CachedTokens | None = None
    output_tokens_details: _ReasoningTokens | None = None


class _Reason(BaseModel):
    reason: str | None = None


class _Response(BaseModel):
    output: list[_Item] | None = None
    usage: _Usage | None = None
    incomplete_details: _Reason | None = None
    error: Any = None


class _End(BaseModel):
    response: _Response


_EVENTS: Final[Mapping[str, type[_ItemEvent | _Spoken | _End]]] = {
    "response.output_item.added": _ItemEvent,
    "response.output_item.done": _ItemEvent,
    "response.output_text.delta": _Spoken,
    "response.refusal.delta": _Spoken,
    "response.reasoning_summary_text.delta": _Spoken,
    "response.reasoning_text.delta": _Spoken,
    "response.function_call_arguments.delta": _Spoken,
    "response.completed": _End,
    "response.incomplete": _End,
    "response.failed": _End,
}
_REASONING: Final = frozenset({"response.reasoning_summary_text.delta", "response.reasoning_text.delta"})


class Reading:
    """Reads one answer, event after event, and tells `items` of it. `answer` is there once it is whole."""

    def __init__(self, items: Items) -> None:
        self._items = items
        self._open: dict[str, _Growing] = {}
        self._places: set[int] = set()
        self._ids: set[str] = set()
        self._called = self._refused = False
        self.answer: Answer | None = None

    def hear(self, data: object) -> None:
        """The next event's data, parsed. Raises ProviderFailed and OutOfOrder."""
        fields = cast("dict[str, object]", data) if isinstance(data, dict) else {}
        type_ = fields.get("type")
        if not isinstance(type_, str):
            raise malformed(f"an event without a type: {str(cast('object', data))[:200]}")
        if type_ == "error":
            raise broke_off(fields)
        if (model := _EVENTS.get(type_)) is None:
            return
        try:
            event = model.model_validate(fields)
        except ValidationError as error:
            fault = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, fault["loc"]))
            raise malformed(f"{type_} is not valid ({where}: {fault['msg']})") from error
        match event:
            case _Spoken():
                self._delta(type_, event)
            case _ItemEvent() if type_ == "response.output_item.added":
                self._added(event)
            case _ItemEvent():
                self._done(event.item)
            case _End(response=response):
                self._ended(type_, response)

    def _added(self, event: _ItemEvent) -> None:
        item, item_type = event.item, ITEM_TYPES.get(event.item.type)
        self._places.add(event.output_index)
        if item_type is None:
            return
        call = item_type == "function_call"
        name, call_id = (item.name, item.call_id or item.id) if call else (None, None)
        self._items.start(item.id, item.id, item_type, name=name, call_id=call_id)
        self._ids.add(item.id)
        self._open[item.id] = _Growing(item)

    def _delta(self, type_: str, spoken: _Spoken) -> None:
        growing = self._open.get(spoken.item_id)
        if growing is None:
            raise OutOfOrder(f"{type_} of item {spoken.item_id!r}, which is not open")
        if type_ in _REASONING:
            text = growing.paragraph((type_, spoken.summary_index, spoken.content_index), spoken.delta)
        else:
            text = spoken.delta
        growing.said.append(text)
        self._items.delta(spoken.item_id, text)
        self._refused = self._refused or type_ == "response.refusal.delta"

    def _done(self, item: _Item) -> None:
        if item.type not in ITEM_TYPES:
            return
        growing = self._open.pop(item.id, None)
        if growing is None:
            raise OutOfOrder(f"item {item.id!r} is done and was not open")
        whole = growing.whole(item)
        self._called = self._called or isinstance(whole, FunctionCallItem)
        self._refused = self._refused or any(part.type == "refusal" for part in item.content or ())
        self._items.done(item.id, whole, _replay(item))

    def _ended(self, type_: str, response: _Response) -> None:
        if type_ == "response.failed":
            raise broke_off(response.error)
        self._catch_up(response.output or ())
        if type_ == "response.completed" and self._open:
            raise malformed(f"the response was completed within item {next(iter(self._open))!r}")
        for growing in list(self._open.values()):
            self._done(growing.head.model_copy(update={"content": None, "summary": None, "arguments": None}))
        if type_ == "response.incomplete":
            said = (response.incomplete_details and response.incomplete_details.reason) or "incomplete"
            reason = INCOMPLETE.get(said, said)
        else:
            reason = "refusal" if self._refused else "tool_calls" if self._called else "stop"
        self.answer = Answer(reason, response.usage and _counted(response.usage))

    def _catch_up(self, output: Sequence[_Item]) -> None:
        """Some servers leave out what stands in the finished response anyway: an item's end, or all of its events."""
        for place, item in enumerate(output):
            if item.id in self._open:
                self._done(item)
            elif item.id not in self._ids and place not in self._places:
                self._added(_ItemEvent(output_index=place, item=item))
                self._done(item)


class _Growing:
    """An item that is not done: how it began, and what was said of it since."""

    def __init__(self, head: _Item) -> None:
        self.head = head
        self.said: list[str] = []
        self._part: tuple[str, int, int] | None = None

    def paragraph(self, part: tuple[str, int, int], text: str) -> str:
        """The text, behind a blank line if it begins another part."""
        if not text:
            return text
        before, self._part = self._part, part
        return text if before in {None, part} else BETWEEN_PARTS + text

    def whole(self, done: _Item) -> Item:
        """The item as its end says it is; where that is silent, as its deltas did."""
        said = "".join(self.said)
        match done.type:
            case "reasoning":
                parts = [part.text for part in (*(done.summary or ()), *(done.content or ())) if part.text]
                silent = done.summary is None and done.content is None
                return ReasoningItem(id=done.id, content=said if silent else BETWEEN_PARTS.join(parts))
            case "function_call":
                name, call_id = done.name or self.head.name, done.call_id or self.head.call_id or done.id
                if not name:
                    raise malformed(f"the function_call {done.id!r} names no function")
                arguments = said if done.arguments is None else done.arguments
                return FunctionCallItem(id=done.id, name=name, arguments=arguments, call_id=call_id)
            case _:
                content = None if done.content is None else "".join(part.text or part.refusal for part in done.content)
                return MessageItem(id=done.id, content=said if content is None else content)


def _replay(item: _Item) -> Mapping[str, Any] | None:
    """The reasoning as the API takes it back: encrypted, as it stores nothing for us."""
    if item.type != "reasoning" or not item.encrypted_content:
        return None
    summary = [part.model_dump(include={"type", "text"}) for part in item.summary or ()]
    wire = {"type": "reasoning", "id": item.id, "summary": summary, "encrypted_content": item.encrypted_content}
    return {"provider": KIND, "item": wire}


def _counted(usage: _Usage) -> Usage:
    cached, reasoning = usage.input_tokens_details, usage.output_tokens_details
    total = usage.input_tokens + usage.output_tokens if usage.total_tokens is None else usage.total_tokens
    return Usage(
        prompt_tokens=usage.input_tokens,
        completion_tokens=usage.output_tokens,
        total_tokens=total,
        cached_tokens=cached and cached.cached_tokens,
        reasoning_tokens=reasoning and reasoning.reasoning_tokens,
    )
