"""The text of an item that grows: saved in pieces, read whole."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event, func, select

from cody.fold import Folder
from cody.store import Store, tables
from tests.integration.store.store_stage import a_run, begin, projection
from tests.unit.fold.fold_scripts import Entry, Say, feed, log
from tests.unit.fold.fold_scripts import begin as attempt_begins

RUN = "run_1"
TEXT = 'a \0 in a "text" – ü 🙂\n'
"""What databases and JSON could stumble over."""


@pytest.fixture(autouse=True)
async def run(store: Store) -> str:
    return await begin(store, a_run(RUN))


async def save(store: Store, folder: Folder) -> bool:
    return await store.responses.save(projection(RUN, folder))


def message(deltas: int, *then: Say) -> list[Entry]:
    """A turn that has said so much of a message, and what comes then."""
    start = Say("item_start", {"item_id": "m", "item_type": "message"})
    return log(
        [*attempt_begins(), start, *[Say("item_delta", {"item_id": "m", "delta_content": TEXT})] * deltas, *then]
    )


async def save_each(store: Store, entries: list[Entry]) -> Folder:
    folder = Folder(1)
    for entry in entries:
        if feed(folder, [entry]).header() is not None:
            await save(store, folder)
    return folder


async def pieces(store: Store) -> int:
    count = select(func.count()).select_from(tables.pieces)
    return await store.database.read(lambda connection: connection.execute(count).scalar_one())


@contextmanager
def written() -> Generator[list[int]]:
    """Characters of text that are sent to the database, by statement."""
    sizes: list[int] = []

    def count(_connection: Any, _cursor: Any, _statement: str, parameters: Any, _context: Any, many: bool) -> None:
        rows = parameters if many else [parameters]
        values = [value for row in rows for value in (row.values() if isinstance(row, dict) else row)]
        sizes.append(sum(len(value) for value in values if isinstance(value, str)))

    event.listen(Engine, "before_cursor_execute", count)
    try:
        yield sizes
    finally:
        event.remove(Engine, "before_cursor_execute", count)


async def cost(store: Store, count: int) -> int:
    """What is written for a message of so many deltas that is saved after each."""
    await store.responses.replace(RUN, [])
    with written() as sizes:
        folder = await save_each(store, message(count))
    assert await store.responses.get("resp_1") == folder.response()
    assert sum(sizes) > count * len(TEXT)
    return sum(sizes)


async def test_what_is_written_grows_as_the_text_does(store: Store) -> None:
    assert await cost(store, 200) < 2.1 * await cost(store, 100)


async def test_a_text_in_pieces_is_read_and_gone_on_with(store: Store) -> None:
    entries = message(9)
    folder = await save_each(store, entries[:-3])
    assert await pieces(store) == 6
    assert await store.responses.load("resp_1") == (folder.response(), folder.checkpoint())
    loaded = await store.responses.load("resp_1")
    assert loaded is not None
    again = feed(Folder(1, *loaded), entries)
    await save(store, again)
    assert await store.responses.of_run(RUN) == [feed(Folder(1), entries).response()]


async def test_a_finished_item_is_one_row(store: Store) -> None:
    final = {"type": "message", "id": "m", "origin": "agent", "content": "short"}
    folder = await save_each(store, message(4, Say("item_done", {"item_id": "m", "final_item": final})))
    assert await pieces(store) == 0
    assert await store.responses.get("resp_1") == folder.response()


async def test_a_newer_attempt_leaves_no_piece(store: Store) -> None:
    await save_each(store, message(4, *attempt_begins(1, 2)))
    assert await pieces(store) == 0


@pytest.mark.parametrize("apart", [0, 1, 3])
async def test_projectors_that_save_in_turns_give_the_text_once(store: Store, apart: int) -> None:
    """Whoever is behind changes nothing; whoever is ahead may save again what the other has saved."""
    entries = message(40)
    one, other = Folder(1), Folder(1)
    for place in range(4, len(entries), 4):
        await save(store, feed(one, entries[:place]))
        await save(store, feed(other, entries[: place - 2 + apart]))
        await save(store, feed(one, entries[: place + 1]))
    assert await save(store, feed(other, entries))
    assert await store.responses.get("resp_1") == other.response()
    assert await store.responses.load("resp_1") == (other.response(), other.checkpoint())
