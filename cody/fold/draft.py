"""The response of one attempt while its events come in: the rules of items and of the response's own state."""

from typing import Any, Literal

from cody.contract import payloads as p
from cody.contract.cursor import Cursor
from cody.contract.errors import STREAM_SEQUENCE, ErrorInfo
from cody.contract.items import Item, ScriptExecutionItem
from cody.contract.responses import Response
from cody.fold.reading import Said
from cody.fold.slots import Slot, cancelled, failed, script_output, started
from cody.fold.state import Changes, Checkpoint, Phase, Piece


class SequenceError(Exception):
    """An event that breaks the order; the draft is as it was before it."""


class Draft:
    """A response under construction.

    `head` is the response without items, `updated_at` and `cursor`, which change too often to be built each time; it
    is None before any attempt's `response_start`. `open` holds the items that may still change.
    """

    __slots__ = ("_dirty", "_emptied", "_slots", "fault", "head", "open", "phase", "updated_at")

    def __init__(self, response: Response | None, state: Checkpoint) -> None:
        self.head: Response | None = response and response.model_copy(update={"output_items": ()})
        self.updated_at = response.updated_at if response else 0
        self.phase: Phase = state.phase
        self.fault = state.fault
        items = response.output_items if response else ()
        self._slots = {item.id: Slot(place, item, taken=True) for place, item in enumerate(items)}
        self.open = {name: self._slots[name] for name in state.open_items}
        self._dirty: set[Slot] = set()
        self._emptied = False

    @property
    def items(self) -> tuple[Item, ...]:
        """All items, in the order of their starts."""
        return tuple(slot.item for slot in self._slots.values())

    def take(self) -> Changes:
        """What changed since the last call."""
        items, pieces = list[tuple[int, Item]](), list[Piece]()
        for slot in sorted(self._dirty, key=lambda slot: slot.position):
            match slot.take():
                case Piece() as piece:
                    pieces.append(piece)
                case item:
                    items.append((slot.position, item))
        changes = Changes(self._emptied, items, pieces)
        self._dirty.clear()
        self._emptied = False
        return changes

    def restart(self, attempt: int) -> None:
        """A newer attempt begins: what the older ones said is gone."""
        self._slots.clear()
        self.open.clear()
        self._dirty.clear()
        self.phase, self.fault = "waiting", None
        if self.head:
            self._emptied = True
            self._amend(attempt=attempt, status="in_progress", usage=None, finish_reason=None, error=None)

    def append(self, item_id: str, text: str) -> None:
        """An `item_delta`: the one event that comes in floods."""
        slot = self.open.get(item_id)
        if slot is None:
            raise SequenceError(f"a delta of item {item_id!r}, which is not open")
        if not slot.append(text):
            raise SequenceError(f"a delta of item {item_id!r}, which takes no text")
        self._dirty.add(slot)

    def apply(self, said: Said) -> None:
        """Any other event of the response. Raises SequenceError."""
        match said.payload:
            case p.ResponseStart() as start:
                self._begin(start, said)
            case p.ItemStart() as start:
                self._add(started(start), open_=True)
            case p.ItemDone() as done:
                self._finish(done)
            case p.ItemFailed() as item:
                self._close(item.item_id, failed(self._opened(item.item_id), item.error))
            case p.ItemCancelled() as item:
                self._close(item.item_id, cancelled(self._opened(item.item_id), item.reason))
            case p.ScriptExecutionStart() as script:
                self._add(ScriptExecutionItem(id=script.item_id, code=script.code), open_=True)
            case p.ScriptExecutionDone() | p.ScriptExecutionError() as script:
                self._script_ended(script)
            case p.UsageUpdate() as update:
                self._named(update.response_id)
                self._amend(usage=update.usage)
            case p.ResponseDone() as done:
                self._done(done)
            case p.ResponseError() as failure:
                self._in_phase("open")
                self._named(failure.response_id)
                self._amend(status="error", error=failure.error)
            case _:
                raise AssertionError(f"no rule for {type(said.payload).__name__}")

    def breaks(self, cursor: Cursor, type_: str, reason: str) -> bool:
        """Note a break of the order; False if this attempt had one before, which then stands."""
        if self.fault:
            return False
        fault = ErrorInfo(code=STREAM_SEQUENCE, message=reason, details={"cursor": str(cursor), "type": type_})
        if self.head:
            self._amend(status="error", error=fault)
        self.fault = fault
        return True

    def settle(self, status: Literal["complete", "error", "aborted"], error: ErrorInfo | None = None) -> bool:
        """The attempt ended: give a response that nobody finished its status. False if it had one."""
        self._shut()
        if self.head is None:
            return False
        if self.head.status == "in_progress":
            self._amend(status=status, error=error)
            return True
        if error and self.head.status == "error" and self.head.error is None:
            self._amend(error=error)
            return True
        return False

    def _begin(self, start: p.ResponseStart, said: Said) -> None:
        # Said again before anything followed, it is harmless; a client healed from a snapshot may see that.
        if self.phase == "done" or self._slots:
            raise SequenceError("a response_start within the response")
        self.phase = "open"
        known = start.model_dump(include={"turn_id", "thread_id", "agent_id", "model_id", "provider_id"})
        if self.head is None:
            self.head = Response(
                **known,
                id=start.response_id,
                run_id=said.run_id,
                turn=said.turn,
                attempt=said.attempt,
                created_at=start.created_at,
                updated_at=said.timestamp,
                status="error" if self.fault else "in_progress",
                error=self.fault,
            )
            return
        self._amend(**known)
        # Last, so that the attempt goes on under the id that the turn's response has.
        self._named(start.response_id)

    def _done(self, done: p.ResponseDone) -> None:
        self._in_phase("open")
        self._named(done.response_id)
        self._shut()
        self._amend(finish_reason=done.finish_reason)
        if done.usage:
            self._amend(usage=done.usage)
        if self.head and self.head.status != "error":
            self._amend(status=done.status)

    def _finish(self, done: p.ItemDone) -> None:
        self._opened(done.item_id)
        if done.final_item.id != done.item_id:
            raise SequenceError(f"item_done of {done.item_id!r} with the item {done.final_item.id!r}")
        self._close(done.item_id, done.final_item)

    def _script_ended(self, said: p.ScriptExecutionDone | p.ScriptExecutionError) -> None:
        script = self._opened(said.item_id)
        if not isinstance(script, ScriptExecutionItem):
            raise SequenceError(f"item {said.item_id!r} is not a script")
        self._add(script_output(script, said), open_=False)
        del self.open[said.item_id]

    def _add(self, item: Item, *, open_: bool) -> None:
        self._in_phase("open")
        if item.id in self._slots:
            raise SequenceError(f"a second start of item {item.id!r}")
        slot = self._slots[item.id] = Slot(len(self._slots), item)
        self._dirty.add(slot)
        if open_:
            self.open[item.id] = slot

    def _opened(self, item_id: str) -> Item:
        if item_id not in self.open:
            raise SequenceError(f"item {item_id!r} is not open")
        return self.open[item_id].item

    def _close(self, item_id: str, item: Item) -> None:
        slot = self.open.pop(item_id)
        slot.replace(item)
        self._dirty.add(slot)

    def _shut(self) -> None:
        self.phase = "done"
        self.open.clear()

    def _in_phase(self, phase: Phase) -> None:
        if self.phase != phase:
            raise SequenceError("before response_start" if self.phase == "waiting" else "after the response's end")

    def _named(self, response_id: str) -> None:
        if self.head is None:
            raise SequenceError("before response_start")
        if self.head.id != response_id:
            raise SequenceError(f"names response {response_id!r}, and this is {self.head.id!r}")

    def _amend(self, **fields: Any) -> None:
        # A broken order is the last word of its attempt on status and error.
        if self.fault:
            fields = {name: value for name, value in fields.items() if name not in {"status", "error"}}
        if self.head:
            self.head = self.head.model_copy(update=fields)
