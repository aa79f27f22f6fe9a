import json

import pytest

from cody.cli.client import Client, RefusedError, UnreachableError
from cody.cli.remote import explain
from tests.unit.cli.cli_server import Answer, Request, serving, snapshot

ACCEPTED = {**snapshot(), "status": "queued"}


async def test_a_start_whose_answer_got_lost_is_repeated_under_the_same_key(monkeypatch):
    monkeypatch.setattr("cody.cli.client._START_PAUSE_SECONDS", 0.01)

    async def handler(_: Request, answer: Answer) -> None:
        if len(seen) > 2:
            await answer.json(202, ACCEPTED)

    async with serving(handler) as (url, seen), Client(url) as client:
        run = await client.start({"agent": {"kind": "command", "command": ["true"]}})
    assert run.run_id == "run_1"
    assert len(seen) == 3
    assert len({request.headers["idempotency-key"] for request in seen}) == 1


async def test_a_start_that_never_gets_an_answer_says_so(monkeypatch):
    monkeypatch.setattr("cody.cli.client._START_PAUSE_SECONDS", 0.01)

    async def handler(_: Request, answer: Answer) -> None:
        del answer

    async with serving(handler) as (url, seen), Client(url) as client:
        with pytest.raises(UnreachableError):
            await client.start({}, single=True, key="mine")
    assert [(request.target, request.headers["idempotency-key"]) for request in seen] == [("/api/runs", "mine")] * 4


async def test_a_problem_is_explained_with_its_fields():
    async def handler(_: Request, answer: Answer) -> None:
        errors = [{"field": "agent.kind", "message": "is unknown"}, {"field": "max_turns", "message": "is too small"}]
        await answer.problem(400, "invalid_request", errors=errors)

    async with serving(handler) as (url, _), Client(url) as client:
        with pytest.raises(RefusedError) as error:
            await client.start({})
    assert explain(error.value) == "it is invalid_request\n  agent.kind: is unknown\n  max_turns: is too small"


async def test_an_answer_that_is_not_codys():
    async def handler(_: Request, answer: Answer) -> None:
        await answer.json(200 if len(seen) == 1 else 502, {"hello": "there"})

    async with serving(handler) as (url, seen), Client(url) as client:
        with pytest.raises(RefusedError, match="not an answer of Cody's"):
            await client.get("run_1")
        with pytest.raises(RefusedError, match="502"):
            await client.get("run_1")


async def test_a_run_id_is_one_segment_of_the_path_whatever_was_typed():
    async def handler(_: Request, answer: Answer) -> None:
        await answer.json(200, snapshot())

    async with serving(handler) as (url, seen), Client(url) as client:
        await client.get("../runs?x=1#/é")
    assert seen[0].target == "/api/runs/..%2Fruns%3Fx%3D1%23%2F%C3%A9"


async def test_a_control_says_what_was_given():
    async def handler(_: Request, answer: Answer) -> None:
        await answer.json(202, {"run_id": "run_1", "action": "pause", "status": "pausing"})

    async with serving(handler) as (url, seen), Client(url) as client:
        answer = await client.control("run_1", "pause", mode="now", reason=None)
    assert answer.status == "pausing"
    assert json.loads(seen[0].body) == {"action": "pause", "mode": "now"}


async def test_the_environments_proxy_is_not_asked_for_this_machine(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")

    async def handler(_: Request, answer: Answer) -> None:
        await answer.json(200, {"runs": [], "next_cursor": None})

    async with serving(handler) as (url, seen), Client(url) as client:
        assert (await client.list(limit=5, status=None)).runs == ()
    assert seen[0].target == "/api/runs?limit=5"


def test_an_address_that_is_none():
    with pytest.raises(UnreachableError):
        Client("http://[::1")
