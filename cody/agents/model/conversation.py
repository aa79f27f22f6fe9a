"""The conversation of a thread before this turn, from its documents: what a model is told of what was said."""

from collections import deque
from collections.abc import Iterable, Sequence

from cody.agents.model.protocol import Entry, Kept, UserText
from cody.contract.items import FunctionCallItem, FunctionCallOutputItem, Item, MessageItem
from cody.contract.threads import Exchange

INTERRUPTED = "interrupted"
"""Answers a call whose tool began and was never heard of again."""


def history(exchanges: Sequence[Exchange]) -> list[Entry]:
    """The earlier turns, oldest first, whoever did them.

    Every call has exactly one output, right behind the calls that it was made with: agents that run commands of their
    own interleave them, and no provider takes that. Reasoning is left out, as it belongs to its provider and turn, and
    so is what never became a whole item.
    """
    entries: list[Entry] = []
    for exchange in exchanges:
        if exchange.prompt:
            entries.append(UserText(exchange.prompt))
        entries += _answered(exchange.response.output_items)
    return entries


def interrupted(call_id: str, item_id: str = "") -> FunctionCallOutputItem:
    """The output of a call that is not to be run again."""
    return FunctionCallOutputItem(id=item_id or f"{call_id}_output", call_id=call_id, output=INTERRUPTED, success=False)


def _answered(items: Sequence[Item]) -> Iterable[Entry]:
    """The items that a model is told of, with every call's output behind the calls next to it."""
    outputs: dict[str, deque[FunctionCallOutputItem]] = {}
    for item in items:
        if isinstance(item, FunctionCallOutputItem):
            outputs.setdefault(item.call_id, deque()).append(item)
    calls: list[FunctionCallItem] = []

    def answers() -> Iterable[Entry]:
        for call in calls:
            found = outputs.get(call.call_id)
            yield Kept(found.popleft() if found else interrupted(call.call_id))
        calls.clear()

    for item in items:
        if isinstance(item, FunctionCallItem):
            calls.append(item)
            yield Kept(item)
        elif isinstance(item, MessageItem):
            yield from answers()
            yield Kept(item) if item.origin == "agent" else UserText(item.content)
    yield from answers()
