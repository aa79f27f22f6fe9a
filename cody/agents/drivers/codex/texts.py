"""What the model says in a turn of Codex, messages and reasoning, as items that stream."""

from collections.abc import Mapping
from typing import Any

from cody.agents.drivers.codex.ear import Told
from cody.agents.model.items import Items
from cody.contract.errors import PROVIDER_MALFORMED
from cody.contract.items import MessageItem, ReasoningItem
from cody.contract.payloads import Warned

BETWEEN_PARTS = "\n\n"


class Texts:
    """Messages and reasoning. `spoken` are the ids of all that began.

    Codex passes over what it cannot read of a stream in silence; it shows where the deltas are not the whole text.
    """

    def __init__(self, told: Told, items: Items) -> None:
        self._told = told
        self._items = items
        self._parts: dict[str, tuple[str, int]] = {}
        self._said: dict[str, list[str]] = {}
        self.spoken: set[str] = set()
        self.malformed = False
        """Whether it was said that something could not be read."""

    def start(self, item: Mapping[str, Any]) -> None:
        """An item takes its place."""
        item_id = str(item["id"])
        self.spoken.add(item_id)
        if not self._items.is_open(item_id):
            self._items.start(item_id, item_id, "message" if item["type"] == "agentMessage" else "reasoning")

    def message(self, params: Mapping[str, Any]) -> None:
        """More of a message."""
        if self._items.is_open(params["itemId"]):
            self._said.setdefault(params["itemId"], []).append(params["delta"])
            self._items.delta(params["itemId"], params["delta"])

    def reasoning(self, params: Mapping[str, Any]) -> None:
        """More of the reasoning: of its summary or, where a model shows it, of itself; whichever comes first counts."""
        item_id = str(params["itemId"])
        if not self._items.is_open(item_id):
            return
        kind = "summaryIndex" if "summaryIndex" in params else "contentIndex"
        index = int(params.get(kind, 0))
        known, part = self._parts.setdefault(item_id, (kind, index))
        if known != kind:
            return
        if index != part:
            self._items.delta(item_id, BETWEEN_PARTS)
            self._parts[item_id] = (kind, index)
        self._items.delta(item_id, params["delta"])

    def done(self, item: Mapping[str, Any]) -> None:
        """An item is whole."""
        self.start(item)
        item_id = str(item["id"])
        if item["type"] == "agentMessage":
            self._message_done(item_id, item["text"])
            return
        kind, _ = self._parts.pop(item_id, ("summaryIndex", 0))
        summary: list[str] = item.get("summary") or []
        raw: list[str] = item.get("content") or []
        parts = (summary or raw) if kind == "summaryIndex" else (raw or summary)
        self._items.done(item_id, ReasoningItem(id=item_id, content=BETWEEN_PARTS.join(parts)))

    def finish(self) -> None:
        """The turn is done: a message whose end could not be read is what was heard of it."""
        for item_id, said in list(self._said.items()):
            self._malformed(item_id)
            self._message_done(item_id, "".join(said))

    def abandon(self, reason: str) -> None:
        """What is not whole never will be."""
        self._items.cancel_open(reason)
        self._parts.clear()
        self._said.clear()

    def _message_done(self, item_id: str, text: str) -> None:
        said = self._said.pop(item_id, None)
        if said is not None and "".join(said) != text:
            self._malformed(item_id)
        self._items.done(item_id, MessageItem(id=item_id, content=text))
        self._told.keep(text.rstrip("\n") + "\n")

    def _malformed(self, item_id: str) -> None:
        self.malformed = True
        message = f"the provider's stream of {item_id} could not be read in part"
        self._told.emit("warning", Warned(code=PROVIDER_MALFORMED, message=message))
