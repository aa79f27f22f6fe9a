"""The items of a turn as they stream in: ids made unique, order kept, each told to the log as it happens."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from cody.contract.errors import STREAM_SEQUENCE, ErrorInfo
from cody.contract.items import (
    FunctionCallItem,
    FunctionCallOutputItem,
    Item,
    ItemType,
    MessageItem,
    ReasoningItem,
)
from cody.contract.payloads import ItemCancelled, ItemDelta, ItemDone, ItemFailed, ItemStart, Payload

MAX_ID = 128


class OutOfOrder(Exception):
    """A provider spoke of an item that is not open; `error` is what the turn fails with."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.error = ErrorInfo(code=STREAM_SEQUENCE, message=message, retryable=True)


class Ear(Protocol):
    """Who is told: a `cody.agents.base.Sink`, or a driver's way out to one."""

    def emit(self, type_: str, payload: Payload) -> None:
        """An event."""
        ...


class Items:
    """Tells a sink about items. `done_items` are those that were finished, with their replay, in the order they were.

    A provider names items by keys of its own, unique within one answer; the id is what readers see, and unique in the
    response. `room` is how to wait while too much is unsent.
    """

    def __init__(self, sink: Ear, room: Callable[[], Awaitable[None]] | None = None) -> None:
        self._sink = sink
        self._room = room
        self._places: dict[str, int] = {}
        self._open: dict[str, str] = {}
        self._spoken: set[str] = set()
        self._looked_at = 0
        self.done_items: list[tuple[Item, Mapping[str, Any] | None]] = []

    async def ready(self) -> None:
        """Wait while too much is unsent; for whoever says a lot, once an event of the wire."""
        if self._room is not None:
            await self._room()

    def start(
        self, key: str, wanted_id: str, item_type: ItemType, *, name: str | None = None, call_id: str | None = None
    ) -> str:
        """An item takes its place; gives its id: the wanted one, unless that is taken or is none."""
        if key in self._open:
            raise OutOfOrder(f"item {key!r} began twice")
        item_id = self._open[key] = self._unique(wanted_id)
        self._spoken.discard(key)
        self._sink.emit(
            "item_start",
            ItemStart(item_id=item_id, item_type=item_type, name=name, call_id=call_id, origin="agent"),
        )
        return item_id

    def is_open(self, key: str) -> bool:
        """Whether the item has begun and is not done."""
        return key in self._open

    def delta(self, key: str, text: str) -> None:
        """More text (of arguments, for a function call)."""
        if text:
            self._spoken.add(key)
            self._sink.emit("item_delta", ItemDelta(item_id=self._id(key), delta_content=text))

    def done(self, key: str, item: Item, replay: Mapping[str, Any] | None = None) -> Item:
        """The whole item, under whatever id; gives it under the id that it has.

        Some servers stream an item's frame and not its text: that is one delta then, so that who shows deltas has it.
        """
        final = item.model_copy(update={"id": self._id(key)})
        if key not in self._spoken:
            self.delta(key, _text(final))
        del self._open[key]
        kept = dict(replay) if replay is not None else None
        self._sink.emit("item_done", ItemDone(item_id=final.id, final_item=final, replay=kept))
        self.done_items.append((final, replay))
        return final

    def tell(self, item: Item, replay: Mapping[str, Any] | None = None) -> Item:
        """A whole item at once, under the id that it has unless another has it."""
        name = item.name if isinstance(item, FunctionCallItem) else None
        call_id = item.call_id if isinstance(item, FunctionCallItem | FunctionCallOutputItem) else None
        key = f"{item.id} at once"
        self.start(key, item.id, item.type, name=name, call_id=call_id)
        return self.done(key, item, replay)

    def take(self) -> list[tuple[Item, Mapping[str, Any] | None]]:
        """What was done since this was last asked, with its replay, in the order in which it began."""
        new = self.done_items[self._looked_at :]
        self._looked_at = len(self.done_items)
        return sorted(new, key=lambda done: self._places[done[0].id])

    def cancel(self, key: str, reason: str) -> None:
        """The item will not be finished."""
        self._sink.emit("item_cancelled", ItemCancelled(item_id=self._id(key), reason=reason))
        del self._open[key]

    def cancel_open(self, reason: str) -> None:
        """The turn was stopped: what is under way will not be finished."""
        for key in list(self._open):
            self.cancel(key, reason)

    def fail_open(self, error: ErrorInfo) -> None:
        """The answer failed: what is under way will not be finished."""
        for item_id in self._open.values():
            self._sink.emit("item_error", ItemFailed(item_id=item_id, error=error))
        self._open.clear()

    def _id(self, key: str) -> str:
        try:
            return self._open[key]
        except KeyError:
            raise OutOfOrder(f"item {key!r} has not begun, or is done") from None

    def _unique(self, wanted: str) -> str:
        """`wanted` in the characters of an id, with a number behind it if an item has it already."""
        cleaned = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in wanted) or "item"
        item_id, number = cleaned[:MAX_ID], 1
        while item_id in self._places:
            number += 1
            suffix = f"_{number}"
            item_id = cleaned[: MAX_ID - len(suffix)] + suffix
        self._places[item_id] = len(self._places)
        return item_id


def _text(item: Item) -> str:
    """What an item's deltas add up to; the output of a call has none."""
    match item:
        case MessageItem(content=text) | ReasoningItem(content=text) | FunctionCallItem(arguments=text):
            return text
        case _:
            return ""
