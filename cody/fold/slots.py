"""An item's place in a response while the item grows, and how items begin."""

from typing import Final

from pydantic import TypeAdapter

from cody.contract import items as i
from cody.contract.errors import INTERNAL, ErrorInfo
from cody.contract.payloads import ItemStart, ScriptExecutionDone, ScriptExecutionError
from cody.fold.state import Piece

OUTPUT_SUFFIX: Final = "_output"
MAX_ID: Final = 128
"""The contract's bound of an id."""

_TEXT: Final[dict[type[i.ItemBase], str]] = {
    i.MessageItem: "content",
    i.ReasoningItem: "content",
    i.FunctionCallItem: "arguments",
}
"""Where the text of a delta goes; no other item takes one."""

_ITEM: Final[TypeAdapter[i.Item]] = TypeAdapter(i.Item)


def text_of(item: i.Item) -> str:
    """The text that deltas add to; empty for an item that takes none."""
    field = _TEXT.get(type(item))
    return getattr(item, field) if field else ""


def with_text(item: i.Item, text: str) -> i.Item:
    """The item, of a kind that takes deltas, with this text."""
    return item.model_copy(update={_TEXT[type(item)]: text})


class Slot:
    """One item, and the text that came for it since it was last looked at, and since it was last taken to be saved.

    Text is gathered in lists and joined when someone looks, so that a delta costs the same however long the item is.
    `taken`: the item is saved as it is here.
    """

    __slots__ = ("_item", "_new", "_taken", "_takes_text", "_unjoined", "_untaken", "position")

    def __init__(self, position: int, item: i.Item, *, taken: bool = False) -> None:
        self.position = position
        self._new: list[str] = []
        self._unjoined: list[str] = []
        self._untaken: list[str] = []
        self.replace(item)
        if taken:
            self._taken = len(text_of(item))

    def append(self, text: str) -> bool:
        """Add a delta's text; False if this kind of item takes none."""
        if not self._takes_text:
            return False
        self._new.append(text)
        return True

    @property
    def item(self) -> i.Item:
        """The item as it is now; builds nothing if nothing is new."""
        self._gather()
        if self._unjoined:
            self._item = with_text(self._item, "".join((text_of(self._item), *self._unjoined)))
            self._unjoined.clear()
        return self._item

    def take(self) -> i.Item | Piece:
        """What is to be saved: the item, or where it was taken before and only grew since, its new text."""
        if self._taken is None:
            self._taken = len(text_of(self.item))
            return self._item
        self._gather()
        piece = Piece(self.position, self._taken, "".join(self._untaken))
        self._untaken.clear()
        self._taken += len(piece.text)
        return piece

    def replace(self, item: i.Item) -> None:
        """Put `item` here, whatever was said before."""
        self._item = item
        self._takes_text = type(item) in _TEXT
        self._taken: int | None = None
        for texts in (self._new, self._unjoined, self._untaken):
            texts.clear()

    def _gather(self) -> None:
        if not self._new:
            return
        text = "".join(self._new)
        self._new.clear()
        self._unjoined.append(text)
        if self._taken is not None:
            self._untaken.append(text)


def started(said: ItemStart) -> i.Item:
    """The item that an `item_start` begins; what it does not tell is empty, or False, until `item_done`."""
    text = said.initial_content or ""
    # Every field that an item can have: the item's model takes its own and ignores the rest.
    return _ITEM.validate_python(
        {
            "id": said.item_id,
            "type": said.item_type,
            "origin": said.origin or "agent",
            "content": text,
            "name": said.name or "",
            "arguments": said.arguments if said.arguments is not None else text,
            "call_id": said.call_id or said.item_id,
            "output": text,
            "success": False,
            "code": INTERNAL if said.item_type == "error" else text,
            "script_id": said.call_id or "",
            "result": text,
            "message": text,
        }
    )


def output_id_of(script_id: str) -> str:
    """The id of the item that holds a script's output: the script's own, cut to fit, with a suffix."""
    return script_id[: MAX_ID - len(OUTPUT_SUFFIX)] + OUTPUT_SUFFIX


def script_output(script: i.Item, said: ScriptExecutionDone | ScriptExecutionError) -> i.ScriptExecutionOutputItem:
    """What a script gave, or why it gave nothing (`error` is the error's message)."""
    done = isinstance(said, ScriptExecutionDone)
    return i.ScriptExecutionOutputItem(
        id=output_id_of(script.id),
        origin=script.origin,
        correlation_id=script.correlation_id,
        script_id=script.id,
        result=said.result if done else "",
        success=done and said.success,
        error=None if done else said.error.message,
    )


def failed(item: i.Item, error: ErrorInfo) -> i.ErrorItem:
    """What stands in the place of an item that will not be finished."""
    return i.ErrorItem(
        id=item.id,
        origin=item.origin,
        correlation_id=item.correlation_id,
        code=error.code,
        message=error.message,
        details=error.details,
    )


def cancelled(item: i.Item, reason: str | None) -> i.CancelledItem:
    """What stands in the place of an item that was under way when it was cancelled."""
    return i.CancelledItem(id=item.id, origin=item.origin, correlation_id=item.correlation_id, reason=reason)
