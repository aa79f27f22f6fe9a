"""The responses: saved with their cursor, so that a replay, a crash or a second projector changes nothing."""

import asyncio
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cody.fold import Folder, RunFolder
from cody.store import Store, tables
from tests.integration.store.store_stage import a_run, begin, opened, projection, row
from tests.unit.fold.fold_scripts import Entry, Say, feed, log, runs, usage
from tests.unit.fold.fold_scripts import begin as attempt_begins

RUN = "run_1"


async def save(store: Store, folder: Folder, pid: int | None = None) -> bool:
    return await store.responses.save(projection(RUN, folder, pid))


def message(item_id: str, *deltas: str, attempt: int = 1) -> list[Say]:
    start = Say("item_start", {"item_id": item_id, "item_type": "message"}, 1, attempt)
    return [start, *(Say("item_delta", {"item_id": item_id, "delta_content": text}, 1, attempt) for text in deltas)]


def counted(tokens: int, attempt: int = 1) -> Say:
    return Say("token_usage", usage(tokens, 1), 1, attempt)


def completed(attempt: int = 1) -> Say:
    return Say("turn_completed", {"should_continue": True}, 1, attempt)


async def figures(store: Store) -> dict[str, Any]:
    kept = (await row(store, RUN)).row
    names = ("cursor", "current_turn", "attempt", "turns", "tokens", "prompt_tokens", "completion_tokens")
    return {name: kept[name] for name in names}


@pytest.fixture
async def run(store: Store) -> str:
    return await begin(store, a_run(RUN))


@pytest.mark.usefixtures("run")
async def test_document_and_figures_are_saved_together(store: Store) -> None:
    entries = log([*attempt_begins(), *message("a", "Hel", "lo"), counted(5), completed()])
    folder = feed(Folder(1), entries)
    assert await save(store, folder, pid=7)

    whole = feed(Folder(1), entries).response()
    assert await store.responses.get("resp_1") == whole
    assert await store.responses.of_run(RUN) == [whole]
    assert await store.threads.responses("thread_1") == [whole]
    assert await store.responses.load("resp_1") == (whole, folder.checkpoint())
    assert await figures(store) == {
        "cursor": f"{len(entries)}-1001", "current_turn": 1, "attempt": 1,
        "turns": 1, "tokens": 6, "prompt_tokens": 5, "completion_tokens": 1,
    }  # fmt: skip
    assert (await row(store, RUN)).row["pid"] == 7


@pytest.mark.usefixtures("run")
async def test_a_stale_save_changes_nothing(store: Store) -> None:
    entries = log([*attempt_begins(), *message("a", "Hel", "lo"), counted(5), counted(7)])
    ahead, behind, again = feed(Folder(1), entries), feed(Folder(1), entries[:-1]), feed(Folder(1), entries)
    assert await save(store, ahead)
    before = await figures(store), await store.responses.load("resp_1")
    assert not await save(store, behind)
    assert not await save(store, again)
    assert (await figures(store), await store.responses.load("resp_1")) == before


@pytest.mark.usefixtures("run")
async def test_only_what_changed_is_written_and_a_new_attempt_empties(store: Store) -> None:
    says = [*attempt_begins(), *message("a", "1"), *message("b", "2"), counted(3)]
    entries = log([*says, *attempt_begins(1, 2), *message("c", "3", attempt=2), counted(4, 2), completed(2)])
    folder = feed(Folder(1), entries[: len(says)])
    await save(store, folder)
    for entry in entries[len(says) :]:
        if folder.feed(entry.cursor, entry.type, entry.event):
            await save(store, folder)
        assert (await store.responses.get("resp_1")) == folder.response()
    assert [item.id for item in folder.response().output_items] == ["c"]
    assert (await figures(store))["tokens"] == 3 + 1 + 4 + 1


async def test_nothing_is_saved_for_a_run_that_is_not_there(store: Store) -> None:
    with pytest.raises(Exception, match=r"(?i)foreign key"):
        await save(store, feed(Folder(1), log(attempt_begins())))
    assert await store.responses.load("resp_1") is None


@pytest.mark.usefixtures("run")
async def test_a_runs_responses_come_in_turn_order_also_where_a_clock_goes_wrong(store: Store) -> None:
    late_clock = {"response_id": "resp_2", "turn_id": "turn_2", "thread_id": "thread_1", "model_id": "m"}
    second = Say("response_start", late_clock | {"provider_id": "openai", "created_at": 7}, 2, 1)
    entries = log([*attempt_begins(), completed(), second])
    for turn in (1, 2):
        await save(store, feed(Folder(turn), entries))
    assert [response.turn for response in await store.responses.of_run(RUN)] == [1, 2]
    assert [response.turn for response in await store.threads.responses("thread_1")] == [1, 2]


@pytest.mark.usefixtures("run")
async def test_documents_that_were_folded_anew_replace_what_was_saved(store: Store) -> None:
    entries = log([*attempt_begins(), *message("a", "1"), *message("b", "2"), completed()])
    await save(store, feed(Folder(1), entries))
    await begin(store, a_run("run_2"))
    shorter = feed(Folder(1), entries[:-3])
    await store.responses.replace(RUN, [(shorter.response(), shorter.checkpoint())])
    assert await store.responses.load("resp_1") == (shorter.response(), shorter.checkpoint())
    await store.responses.replace(RUN, [])
    assert await store.responses.of_run(RUN) == []


class Step(NamedTuple):
    """One of two projectors takes some entries, and then saves, crashes, or does neither."""

    who: int
    takes: int
    then: str


STEPS = st.lists(
    st.builds(
        Step,
        who=st.sampled_from([0, 0, 1]),
        takes=st.integers(0, 8),
        then=st.sampled_from(["save", "save", "save", "save and crash", "crash", "go on"]),
    ),
    max_size=25,
)


class Projector:
    """A turn's projector, which may crash at any point."""

    def __init__(self, store: Store, turn: int, entries: list[Entry]) -> None:
        self._store = store
        self._turn = turn
        self._entries = entries
        self._folder = Folder(turn)

    async def load(self) -> None:
        """Go on from what is saved; a replay from before it does no harm."""
        saved = await self._store.responses.load(f"resp_{self._turn}")
        self._folder = Folder(self._turn, *saved) if saved else Folder(self._turn)
        self._next = 0

    def take(self, count: int) -> None:
        feed(self._folder, self._entries[self._next : self._next + count])
        self._next += count

    async def step(self, step: Step) -> None:
        self.take(step.takes)
        if step.then.startswith("save") and self._folder.header() is not None:
            await save(self._store, self._folder)
        if step.then.endswith("crash"):
            await self.load()

    async def finish(self) -> None:
        self.take(len(self._entries))
        await save(self._store, self._folder)


# Each example begins by emptying the store.
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entries=runs(), steps=STEPS)
async def test_figures_and_documents_add_up_whatever_crashes(
    store: Store, entries: list[Entry], steps: list[Step]
) -> None:
    await store.database.write(lambda connection: connection.execute(tables.runs.delete()))
    await begin(store, a_run(RUN))
    client: RunFolder = feed(RunFolder(), entries)
    for turn in client.responses:
        projectors = [Projector(store, turn, entries) for _ in range(2)]
        for projector in projectors:
            await projector.load()
        for step in steps:
            await projectors[step.who].step(step)
        await projectors[0].finish()
        await projectors[1].finish()

    assert await store.responses.of_run(RUN) == list(client.responses.values())
    kept = await figures(store)
    tokens = client.tokens
    assert (kept["tokens"], kept["prompt_tokens"], kept["completion_tokens"]) == (
        tokens.total_tokens, tokens.prompt_tokens, tokens.completion_tokens,
    )  # fmt: skip
    ends = [folder.ended.type for folder in client.folders.values() if folder.ended]
    assert kept["turns"] == ends.count("turn_completed")
    assert kept["current_turn"] == max(client.responses)
    assert kept["attempt"] == client.folders[kept["current_turn"]].attempt
    assert kept["cursor"] == str(client.folders[kept["current_turn"]].cursor)


async def test_projectors_that_save_at_once_count_nothing_twice(database_url: str) -> None:
    entries = log([*attempt_begins(), *message("a", "Hel"), counted(5), *message("b", "lo"), counted(3), completed()])
    async with opened(database_url) as one, opened(database_url) as other:
        for _ in range(10):
            await one.database.write(lambda connection: connection.execute(tables.runs.delete()))
            await begin(one, a_run(RUN))
            early, late = feed(Folder(1), entries[:-2]), feed(Folder(1), entries)
            await asyncio.gather(save(one, early), save(other, late))
            assert await one.responses.get("resp_1") == feed(Folder(1), entries).response()
            assert (await figures(one))["tokens"] == 5 + 1 + 3 + 1
