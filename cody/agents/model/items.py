"""The items of a turn as they stream in: ids made unique, order kept, each told to the log as it happens."""

from collections.abc import Mapping
from typing import Any

from cody.agents.base import Sink
from cody.contract.errors import STREAM_SEQUENCE, ErrorInfo
from cody.contract.items import Item, ItemType
from cody.contract.payloads import ItemCancelled, ItemDelta, ItemDone, ItemStart

MAX_ID = 128


class OutOfOrder(Exception):
    """A provider spoke of an item that is not open; `error` is what the turn fails with."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.error = ErrorInfo(code=STREAM_SEQUENCE, message=message, retryable=True)


class Items:
    """Tells a sink about items. `done_items` are those that were finished, with their replay, in the order they were.

    A provider names items by keys of its own, unique within one answer; the id is what readers see, and unique in the
    response.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._taken: set[str] = set()
        self._open: dict[str, str] = {}
        self.done_items: list[tuple[Item, Mapping[str, Any] | None]] = []

    def start(
        self, key: str, wanted_id: str, item_type: ItemType, *, name: str | None = None, call_id: str | None = None
    ) -> str:
        """An item takes its place; gives its id: the wanted one, unless that is taken or is none."""
        if key in self._open:
            raise OutOfOrder(f"item {key!r} began twice")
        item_id = self._open[key] = self._unique(wanted_id)
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
            self._sink.emit("item_delta", ItemDelta(item_id=self._id(key), delta_content=text))

    def done(self, key: str, item: Item, replay: Mapping[str, Any] | None = None) -> Item:
        """The whole item, under whatever id; gives it under the id that it has."""
        final = item.model_copy(update={"id": self._id(key)})
        del self._open[key]
        kept = dict(replay) if replay is not None else None
        self._sink.emit("item_done", ItemDone(item_id=final.id, final_item=final, replay=kept))
        self.done_items.append((final, replay))
        return final

    def cancel_open(self, reason: str) -> None:
        """The turn was stopped: what is under way will not be finished."""
        for item_id in self._open.values():
            self._sink.emit("item_cancelled", ItemCancelled(item_id=item_id, reason=reason))
        self._open.clear()

    def _id(self, key: str) -> str:
        try:
            return self._open[key]
        except KeyError:
            raise OutOfOrder(f"item {key!r} has not begun, or is done") from None

    def _unique(self, wanted: str) -> str:
        """`wanted` in the characters of an id, with a number behind it if an item has it already."""
        cleaned = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in wanted)[: MAX_ID - 8]
        item_id, number = cleaned or "item", 1
        while item_id in self._taken:
            number += 1
            item_id = f"{cleaned or 'item'}_{number}"
        self._taken.add(item_id)
        return item_id
