"""An item's place in a response while the item grows, and how items begin."""

from typing import Final

from pydantic import TypeAdapter

from cody.contract import items as i
from cody.contract.errors import INTERNAL, ErrorInfo
from cody.contract.payloads import ItemStart, ScriptExecutionDone, ScriptExecutionError

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


class Slot:
    """One item, and the text that came for it since it was last looked at.

    Text is gathered in a list and joined when someone looks, so that a delta costs the same however long the item is.
    """

    __slots__ = ("_chunks", "_field", "_item", "position")

    def __init__(self, position: int, item: i.Item) -> None:
        self.position = position
        self._chunks: list[str] = []
        self.replace(item)

    def append(self, text: str) -> bool:
        """Add a delta's text; False if this kind of item takes none."""
        if self._field is None:
            return False
        self._chunks.append(text)
        return True

    @property
    def item(self) -> i.Item:
        """The item as it is now; builds nothing if nothing is new."""
        if self._chunks and self._field is not None:
            known: str = getattr(self._item, self._field)
            self._item = self._item.model_copy(update={self._field: "".join((known, *self._chunks))})
            self._chunks.clear()
        return self._item

    def replace(self, item: i.Item) -> None:
        """Put `item` here, whatever was said before."""
        self._item = item
        self._field = _TEXT.get(type(item))
        self._chunks.clear()


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
