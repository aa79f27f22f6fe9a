"""The server's own rules: what it asserts, sessions, holds, and answers without a session."""

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import pytest
from pydantic import ValidationError

from fixtures.providers import wire
from fixtures.providers.scenario import SCENARIOS, Scenario, Step, load, names
from fixtures.providers.server import ProviderServer
from tests.integration.providers.clients import anthropic_turn, openai_client, openai_turn
from tests.parts import PATIENCE_SECONDS

ROOT = Path(__file__).resolve().parents[3]


def test_every_scenario_is_in_the_form_and_says_what_it_shows():
    assert names()
    prompts = [scenario.prompt for scenario in map(load, names())]
    assert all(load(name).about for name in names())
    # A conversation without a session is recognised by its prompt.
    assert [a for a in prompts for b in prompts if a is not b and a in b] == []


def test_a_field_that_is_not_in_the_form_is_refused():
    with pytest.raises(ValidationError, match="modle"):
        Scenario.model_validate({"modle": "x"})


@pytest.mark.parametrize("name", names())
def test_a_file_is_small(name: str):
    assert (SCENARIOS / f"{name}.json").stat().st_size < 20_000


def test_a_long_text_is_written_out():
    scenario = load("openai_large")
    content = scenario.expected_response.items[0]["content"]
    assert len(content) > 1_000_000
    assert content in str(scenario.steps[0].chunks[-1])


async def ask(session: Any, model: str, text: Any, **more: Any) -> Any:
    async with openai_client(session) as client:
        return await client.responses.create(model=model, input=text, stream=True, **more)


async def test_a_request_that_is_not_as_expected_is_answered_with_what_differs(server: ProviderServer):
    session = server.play("openai_message")
    with pytest.raises(openai.BadRequestError, match="model is 'gpt-4'"):
        await ask(session, "gpt-4", "Say hello in one sentence.")
    with pytest.raises(AssertionError, match="model is 'gpt-4'"):
        session.check()
    assert session.requests[0].body["model"] == "gpt-4"


async def test_a_request_too_many_is_a_fault(server: ProviderServer):
    session = server.play("openai_message")
    await openai_turn(session)
    with pytest.raises(openai.BadRequestError, match="no step left"):
        await openai_turn(session)
    assert len(session.requests) == 2


async def test_history_that_was_left_out_is_missed(server: ProviderServer):
    session = server.play("openai_thread_2")
    with pytest.raises(openai.BadRequestError, match=r"input has nothing for expected entry 0"):
        await ask(session, "gpt-5-mini", session.scenario.prompt)


async def test_tool_results_are_asserted(server: ProviderServer):
    session = server.play("anthropic_tool_call")
    session.scenario.expected_response.items[2]["output"] = "Buy nothing."
    with pytest.raises(anthropic.BadRequestError, match=r"does not contain 'Buy milk\.'"):
        await anthropic_turn(session)


async def test_fifty_sessions_do_not_mix(server: ProviderServer):
    sessions = [server.play("openai_tool_call") for _ in range(50)]
    await asyncio.gather(*(openai_turn(session) for session in sessions))
    for session in sessions:
        session.check()
        assert len(session.requests) == 2


@pytest.mark.parametrize("name", ["openai_hold", "anthropic_hold"])
async def test_a_hold_lasts_until_it_is_released(name: str, server: ProviderServer):
    session = server.play(name)
    play = openai_turn if session.scenario.provider == "openai" else anthropic_turn
    playing = asyncio.create_task(play(session))
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not session.requests:
            await asyncio.sleep(0.005)
    done, _ = await asyncio.wait({playing}, timeout=0.2)
    assert not done
    session.release()
    await playing
    session.check()


async def test_a_pace_is_never_faster_than_told(server: ProviderServer):
    session = server.play("openai_rapid")
    begun = time.monotonic()
    await openai_turn(session)
    chunks = 1000 + len(session.scenario.steps[0].chunks) - 1
    assert time.monotonic() - begun >= (chunks - 1) * 0.001  # sooner it cannot be, later it may


async def test_what_clients_ask_besides_is_answered_and_kept_apart(server: ProviderServer):
    session = server.play("anthropic_message")
    chore = {"model": "claude-haiku-4.5", "max_tokens": 1, "messages": [{"role": "user", "content": "quota"}]}
    agent = {"user-agent": "claude-cli/2.1.329 (external, cli)"}
    async with httpx.AsyncClient(base_url=session.anthropic_base_url, headers=agent) as client:
        assert (await client.head("/")).status_code == 200
        assert (await client.get("/v1/models")).json()["data"] == []
        assert (await client.post("/v1/messages/count_tokens", json=chore)).json()["input_tokens"] > 0
        assert (await client.post("/v1/messages", json=chore)).json()["type"] == "message"
        assert "message_stop" in (await client.post("/v1/messages", json={**chore, "stream": True})).text
        assert (await client.post("/api/event_logging/batch", json={})).status_code == 200
        upgrade = {"connection": "upgrade", "upgrade": "websocket"}
        assert (await client.get("/v1/responses", headers=upgrade)).status_code == 426
    assert len(session.other_requests) == 7
    assert session.requests == []
    await anthropic_turn(session)
    session.check()


class AnyAddress:
    """What the SDK clients need of a session, for requests without one."""

    def __init__(self, server: ProviderServer, prompt: str, like: str) -> None:
        self.scenario = load(like).model_copy(update={"prompt": prompt})
        self.openai_base_url, self.anthropic_base_url = f"{server.url}/v1", server.url


async def test_a_mark_in_the_users_text_names_the_session(server: ProviderServer):
    older, newer = server.play("openai_thread_1"), server.play("openai_thread_2")
    history: list[Any] = []
    for session in (older, newer):
        await openai_turn(
            AnyAddress(server, f"{session.scenario.prompt} [scenario:{session.id}]", "openai_message"), history
        )
        session.check()


async def test_a_mark_is_nothing_that_a_scenario_need_expect(server: ProviderServer):
    exact = load("openai_message").model_dump(mode="json")
    exact["steps"][0]["expect"] = {
        "input": [{"role": "user", "content": {"$exactly": [{"type": "input_text", "text": "p"}]}}]
    }
    session = server.play(Scenario.model_validate(exact))
    await openai_turn(AnyAddress(server, f"p [scenario:{session.id}]", "openai_message"))
    session.check()
    assert session.requests[0].body["input"][0]["content"] == f"p [scenario:{session.id}]"


async def test_an_address_without_a_session_is_404(server: ProviderServer):
    async with httpx.AsyncClient(base_url=server.url) as client:
        answer = await client.post("/s/none/v1/responses", json={"model": "m", "input": "x", "stream": True})
    assert answer.status_code == 404


async def test_without_a_session_the_prompt_picks_a_scenario(server: ProviderServer):
    prompt = load("anthropic_tool_call").prompt
    finals = await anthropic_turn(AnyAddress(server, f"Please: {prompt}", "anthropic_tool_call"))
    assert [final.id for final in finals] == ["msg_03TA", "msg_03TB"]


async def test_without_a_session_a_fake_provider_introduces_itself(server: ProviderServer):
    async with httpx.AsyncClient(base_url=server.url) as client:
        body: dict[str, Any] = {"model": "gpt-5-mini", "input": "What is the weather?"}
        plain = (await client.post("/v1/responses", json=body)).json()
        streamed = (await client.post("/v1/responses", json={**body, "stream": True})).text
        assert "fake provider" in plain["output"][0]["content"][0]["text"]
        assert "response.completed" in streamed
        offered = {**body, "tools": [{"type": "function", "name": "exec_command"}]}
        call = (await client.post("/v1/responses", json=offered)).json()["output"][1]
        assert (call["name"], call["arguments"]) == ("exec_command", '{"cmd":"ls"}')
        output = {"type": "function_call_output", "call_id": call["call_id"], "output": "a.txt"}
        after = {**offered, "input": [{"role": "user", "content": "Hi"}, call, output]}
        assert len((await client.post("/v1/responses", json=after)).json()["output"]) == 1
        assert (await client.post("/v1/messages", json={})).status_code == 400


@contextlib.contextmanager
def process() -> Iterator[httpx.Client]:
    command = [sys.executable, "-m", "fixtures.providers", "--port", "0", "--pace", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        with httpx.Client(base_url=url) as client:
            yield client
        server.terminate()
        assert server.wait(10) == 0


def test_a_process_opens_sessions_and_tells_of_them():
    made = Scenario(
        provider="openai",
        model="m",
        prompt="p",
        steps=[Step(chunks=list(wire.openai_text("m", "1", "Made in a test.")))],
        expected_response=load("openai_message").expected_response,
    )
    with process() as client:
        assert client.post("/sessions", json="no_such_scenario").status_code == 400
        assert client.get("/sessions/none").status_code == 404
        named = client.post("/sessions", json="openai_message").json()
        assert named["unused_steps"] == [0]
        session = client.post("/sessions", json={"scenario": made.model_dump(mode="json")}).json()
        body = {"model": "m", "input": "p", "stream": True}
        assert "Made in a test." in client.post(f"{session['openai_base_url']}/responses", json=body).text
        assert client.post(f"/sessions/{session['id']}/release").status_code == 200
        report = client.get(f"/sessions/{session['id']}").json()
    assert (report["faults"], report["unused_steps"]) == ([], [])
    assert [request["body"] for request in report["requests"]] == [body]
    assert report["requests"][0]["path"] == f"/s/{session['id']}/v1/responses"


async def test_a_client_that_reads_nothing_does_not_hold_the_server():
    async with ProviderServer() as server:
        session = server.play("openai_large")
        body = b'{"model": "gpt-5-mini", "input": "x", "stream": true}'
        _, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]), limit=1024)
        head = f"POST /s/{session.id}/v1/responses HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not session.requests:
                await asyncio.sleep(0.005)
    writer.close()
