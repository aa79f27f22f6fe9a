"""The OpenAI provider through the real SDK, against a server: what no scenario shows."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest

from cody.agents.base import Patience, Stop
from cody.agents.connections import Connection
from cody.agents.keepers import Keepers
from cody.agents.model.openai import OpenAIProvider, _client
from cody.agents.registry import agent_for
from cody.cli.dev.ports import free_port
from cody.contract.agents import OpenAIAgent
from cody.contract.items import CancelledItem
from cody.contract.payloads import ItemDelta
from fixtures.providers.scenario import Scenario, Step, dumps, load
from fixtures.providers.server import ProviderServer
from fixtures.providers.session import Session
from tests.parts import until
from tests.unit.agents.model.model_stage import Log, connected, make_job, take_turn

PATIENCE = Patience(answer_seconds=20.0, silence_seconds=20.0)


@pytest.fixture
async def server() -> AsyncIterator[ProviderServer]:
    async with ProviderServer() as server:
        yield server


async def play(session: Session, keepers: Keepers, log: Log, **job: object) -> None:
    scenario = session.scenario
    agent = agent_for("openai", keepers)
    assert agent is not None
    fields = {
        "agent": OpenAIAgent(kind="openai", model=scenario.model),
        "prompt": scenario.prompt,
        "connection": connected(session.openai_base_url),
    }
    await take_turn(agent, log, make_job(log, **(fields | job)))


async def test_many_turns_at_once_do_not_mix(server: ProviderServer, keepers: Keepers) -> None:
    turns = [(server.play(name), Log()) for name in ("openai_message", "openai_reasoning") * 25]
    await asyncio.gather(*(play(session, keepers, log) for session, log in turns))
    for session, log in turns:
        session.check()
        said = [item.model_dump() for item in log.response().output_items]
        assert said == session.scenario.expected_response.items


async def test_a_stop_hangs_up_at_once(server: ProviderServer, keepers: Keepers) -> None:
    session, log, stop = server.play("openai_hold"), Log(), Stop()
    turn = asyncio.create_task(play(session, keepers, log, stop=stop))
    await until(lambda: log.of("item_delta"))
    stop.request()
    await turn
    await until(lambda: session.requests[0].hung_up)
    said: list[ItemDelta] = log.of("item_delta")
    assert said[0].delta_content
    assert isinstance(log.response().output_items[0], CancelledItem)


async def test_a_connection_serves_all_answers_of_a_turn(keepers: Keepers) -> None:
    class Counting(ProviderServer):
        connections = 0

        def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections += 1
            super()._connected(reader, writer)

    async with Counting() as server:
        session = server.play("openai_unknown_tool")
        await play(session, keepers, Log())
        assert len(session.requests) == 2
        assert server.connections == 1


def refusing(param: str, times: int) -> Scenario:
    """A model that has a reasoning model's name, and refuses one of the fields about it before it answers."""
    whole = load("openai_message")
    error = {"message": "not for you", "type": "invalid_request_error", "param": param, "code": "unsupported_value"}
    refusal = Step(status=400, chunks=[dumps({"error": error})], times=times)
    return whole.model_copy(update={"steps": [refusal, *whole.steps]})


@pytest.mark.parametrize("param", ["reasoning.summary", "include"])
async def test_a_model_that_refuses_the_fields_about_reasoning_is_asked_without(
    server: ProviderServer, keepers: Keepers, param: str
) -> None:
    session, log = server.play(refusing(param, times=1)), Log()
    await play(session, keepers, log)
    session.check()
    first, second = [request.body for request in session.requests]
    assert {"reasoning", "include"} <= set(first)
    assert not {"reasoning", "include"} & set(second)
    assert log.response().status == "complete"


async def test_what_is_refused_otherwise_is_not_asked_again(server: ProviderServer, keepers: Keepers) -> None:
    session, log = server.play(refusing("model", times=1)), Log()
    await play(session, keepers, log)
    assert len(session.requests) == 1
    error = log.response().error
    assert error is not None
    assert (error.code, error.retryable) == ("unsupported_value", False)


async def test_a_server_of_ones_own_needs_no_key(server: ProviderServer, keepers: Keepers) -> None:
    session, log = server.play("openai_message"), Log()
    await play(session, keepers, log, connection=Connection(base_url=session.openai_base_url))
    assert log.response().status == "complete"
    assert session.requests[0].headers["authorization"] == "Bearer none"


async def test_without_a_key_or_an_address_nobody_is_asked(server: ProviderServer, keepers: Keepers) -> None:
    log = Log()
    await play(server.play("openai_message"), keepers, log, connection=Connection())
    error = log.response().error
    assert error is not None
    assert (error.code, error.retryable) == ("provider_key_missing", False)
    assert "OPENAI_API_KEY" in error.message


async def test_where_nobody_listens_is_unreachable(server: ProviderServer, keepers: Keepers) -> None:
    log = Log()
    nowhere = connected(f"http://127.0.0.1:{free_port()}/v1")
    await play(server.play("openai_message"), keepers, log, connection=nowhere)
    error = log.response().error
    assert error is not None
    assert (error.code, error.retryable) == ("provider_unreachable", True)
    assert log.response().output_items == ()


async def test_a_run_s_own_key_does_not_go_to_the_service_s_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    client = _client(Connection(api_key="sk-run"), PATIENCE)
    assert client.base_url.host == "api.openai.com"
    await client.close()


async def test_a_provider_that_was_never_asked_closes(server: ProviderServer) -> None:
    await OpenAIProvider(connected(server.url), PATIENCE).close()


def test_the_sdks_are_not_imported_before_a_turn_needs_them() -> None:
    code = "import cody.agents.registry, sys; print([n for n in ('openai', 'anthropic', 'httpx2') if n in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
