import asyncio

import pytest

from cody.cli.client import Client, CursorRefusedError, RefusedError
from cody.cli.follow import Follower
from cody.contract.errors import CursorProblem
from tests.parts import until
from tests.unit.cli.cli_server import Answer, Request, frame, serving, terminal

HEALING = {"latest_cursor": "9-0", "responses": "/api/runs/run_1/responses"}


@pytest.fixture(autouse=True)
def no_patience(monkeypatch):
    monkeypatch.setattr("cody.cli.follow._PAUSE_FIRST_SECONDS", 0.01)


async def follow(
    url: str, start: str | None = None, trouble: list[str] | None = None
) -> tuple[list[object], list[str]]:
    """What was yielded (a SEQ for a frame), and what was said about the connection."""
    trouble = [] if trouble is None else trouble
    got: list[object] = []
    async with Client(url) as client:
        async for entry in Follower(client, "run_1", start=start, trouble=trouble.append).frames():
            got += [entry if isinstance(entry, CursorProblem) else int(entry.cursor.split("-")[0])]
    return got, trouble


def after(request: Request) -> int:
    return int(request.headers.get("last-event-id", "0").split("-")[0])


@pytest.mark.parametrize("clean", [True, False])
async def test_a_connection_that_ends_after_every_third_entry_costs_nothing(clean):
    async def handler(request: Request, answer: Answer) -> None:
        await answer.stream()
        await answer.chunk(b": keepalive\n\n")
        begin = after(request) + 1
        for seq in range(begin, min(begin + 3, 11)):
            await answer.chunk(frame(seq) if seq < 10 else terminal(seq))
        # The half frame of a torn connection is not an entry.
        await answer.chunk(b"id: 99-0\nevent: warning\n")
        if clean:
            await answer.end()

    async with serving(handler) as (url, seen):
        got, trouble = await follow(url)
    assert got == list(range(1, 11))
    assert [request.headers.get("last-event-id") for request in seen] == [None, "3-0", "6-0", "9-0"]
    assert bool(trouble) is not clean


async def test_entries_that_come_again_are_passed_over():
    async def handler(_: Request, answer: Answer) -> None:
        await answer.stream()
        for seq in (1, 2, 2, 1, 3):
            await answer.chunk(frame(seq))
        await answer.chunk(terminal(4))

    async with serving(handler) as (url, _):
        assert (await follow(url))[0] == [1, 2, 3, 4]


async def test_it_stops_at_the_terminal_event_without_waiting_for_the_server():
    async def handler(_: Request, answer: Answer) -> None:
        await answer.stream()
        await answer.chunk(terminal(1))
        await asyncio.Event().wait()

    async with serving(handler) as (url, seen):
        assert (await follow(url))[0] == [1]
        assert len(seen) == 1


async def test_204_is_the_end():
    async def handler(_: Request, answer: Answer) -> None:
        await answer.empty(204)

    async with serving(handler) as (url, seen):
        assert (await follow(url, "7-0"))[0] == []
    assert seen[0].headers["last-event-id"] == "7-0"


async def test_410_heals_from_the_earliest_entry_that_is_kept():
    async def handler(request: Request, answer: Answer) -> None:
        if after(request) < 4:
            await answer.problem(410, "stream_trimmed", earliest_cursor="5-0", **HEALING)
            return
        await answer.stream()
        await answer.chunk(frame(5) + terminal(6))

    async with serving(handler) as (url, seen):
        got, _ = await follow(url, "2-0")
    assert isinstance(got[0], CursorProblem)
    assert got[1:] == [5, 6]
    assert seen[1].headers["last-event-id"] == "4"


async def test_410_without_end_is_an_error():
    async def handler(_: Request, answer: Answer) -> None:
        await answer.problem(410, "stream_trimmed", earliest_cursor="5-0", **HEALING)

    async with serving(handler) as (url, _):
        with pytest.raises(CursorRefusedError):
            await follow(url)


async def test_409_for_a_cursor_that_the_stream_gave_reads_the_new_log():
    async def handler(request: Request, answer: Answer) -> None:
        if after(request) == 3:
            await answer.problem(409, "cursor_ahead", earliest_cursor="1-0", **HEALING)
            return
        await answer.stream()
        if len(seen) == 1:
            await answer.chunk(frame(1) + frame(2) + frame(3))
            await answer.end()
        else:
            await answer.chunk(frame(1) + terminal(2))

    async with serving(handler) as (url, seen):
        got, _ = await follow(url)
    assert [entry for entry in got if isinstance(entry, int)] == [1, 2, 3, 1, 2]
    assert "last-event-id" not in seen[2].headers


async def test_409_for_a_cursor_that_a_person_gave_is_an_error():
    async def handler(_: Request, answer: Answer) -> None:
        await answer.problem(409, "cursor_ahead", earliest_cursor="1-0", **HEALING)

    async with serving(handler) as (url, _):
        with pytest.raises(CursorRefusedError, match="cursor_ahead"):
            await follow(url, "99")


async def test_503_is_waited_out_and_said_once():
    async def handler(_: Request, answer: Answer) -> None:
        if len(seen) < 4:
            await answer.problem(503, "redis_unavailable")
            return
        await answer.stream()
        await answer.chunk(terminal(1))

    async with serving(handler) as (url, seen):
        got, trouble = await follow(url)
    assert got == [1]
    assert trouble == ["connection lost (it is redis_unavailable); trying again", "connected again"]


async def test_404_is_an_error():
    async def handler(_: Request, answer: Answer) -> None:
        await answer.problem(404, "run_not_found")

    async with serving(handler) as (url, _):
        with pytest.raises(RefusedError) as error:
            await follow(url)
    assert error.value.problem.code == "run_not_found"


async def test_a_service_that_is_away_is_waited_for():
    async def handler(_: Request, answer: Answer) -> None:
        await answer.stream()
        await answer.chunk(terminal(1))

    async with serving(handler) as (url, _):
        pass
    trouble: list[str] = []
    following = asyncio.create_task(follow(url, trouble=trouble))
    await until(lambda: trouble)
    async with serving(handler, port=int(url.rsplit(":", 1)[1])):
        got, _ = await following
    assert got == [1]
    assert len(trouble) == 2
