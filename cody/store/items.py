"""The items of responses: a row each, and one for every piece of text that came to an item since its row was written.

A text that grows is not written again: what an item costs to save is linear in its text, however often it is saved.
"""

from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import from_json, to_json
from sqlalchemy import Connection, Select, Table, bindparam, delete, insert, select

from cody.contract.items import Item
from cody.fold import Changes, text_of, with_text
from cody.store.database import Database
from cody.store.tables import items, pieces

_ITEM: TypeAdapter[Item] = TypeAdapter(Item)
_AT_ONCE = 1000
"""Responses whose items are asked for by one query: databases bound how many values a query may name."""
_EMPTY = delete(items).where(items.c.response_id == bindparam("response"))
_REMOVE = _EMPTY.where(items.c.position == bindparam("place"))
_ADD = insert(items)


class ItemRows:
    """Writes what changed; a row that is written anew, or removed, takes its pieces along."""

    def __init__(self, database: Database) -> None:
        piece = database.insert(pieces)
        self._piece = piece.on_conflict_do_update(
            index_elements=["response_id", "position", "start"], set_={"text": piece.excluded.text}
        )

    def save(self, connection: Connection, response_id: str, changes: Changes) -> None:
        """Within the transaction that saves the cursor."""
        if changes.emptied:
            connection.execute(_EMPTY, {"response": response_id})
        rows = [
            {"response_id": response_id, "position": position, "item": _ITEM.dump_json(item).decode()}
            for position, item in changes.items
        ]
        if rows:
            connection.execute(_REMOVE, [{"response": response_id, "place": position} for position, _ in changes.items])
            connection.execute(_ADD, rows)
        grown = [
            {"response_id": response_id, "position": position, "start": start, "text": to_json(text).decode()}
            for position, start, text in changes.pieces
        ]
        if grown:
            connection.execute(self._piece, grown)


def items_of(connection: Connection, ids: Sequence[str]) -> dict[str, list[Item]]:
    """Response id → its items in order; those without any are missing."""
    found: dict[str, list[Item]] = {}
    for first in range(0, len(ids), _AT_ONCE):
        some = ids[first : first + _AT_ONCE]
        grown = _grown(connection, some)
        for row in connection.execute(_of(items, some).order_by(items.c.position)).mappings():
            item = _ITEM.validate_json(row["item"])
            if texts := grown.get((row["response_id"], row["position"])):
                item = with_text(item, _joined(text_of(item), texts))
            found.setdefault(row["response_id"], []).append(item)
    return found


def _grown(connection: Connection, ids: Sequence[str]) -> dict[tuple[str, int], list[tuple[int, str]]]:
    """(response id, position) → (start, text) of the item's pieces, in order."""
    found: dict[tuple[str, int], list[tuple[int, str]]] = {}
    for row in connection.execute(_of(pieces, ids).order_by(pieces.c.start)).mappings():
        found.setdefault((row["response_id"], row["position"]), []).append((row["start"], from_json(row["text"])))
    return found


def _of(table: Table, ids: Sequence[str]) -> Select[Any]:
    return select(table).where(table.c.response_id.in_(ids))


def _joined(text: str, grown: Sequence[tuple[int, str]]) -> str:
    """Each piece from where the text ends: two projectors that took turns may both have saved what is in the middle."""
    parts, length = [text], len(text)
    for start, piece in grown:
        parts.append(piece[length - start :])
        length = max(length, start + len(piece))
    return "".join(parts)
