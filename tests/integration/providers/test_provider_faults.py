"""Every scenario that fails, as the official SDK of its API meets it, without any retry of its own."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from fixtures.providers.scenario import Scenario, load, names
from fixtures.providers.server import ProviderServer
from fixtures.providers.session import Session
from tests.integration.providers.clients import anthropic_client, openai_client
from tests.parts import PATIENCE_SECONDS

FAILING = {name: scenario for name in names() if (scenario := load(name)).expected_response.status == "error"}
HTTP = [name for name in FAILING if "_http_" in name]
SILENT = [name for name in FAILING if any(s.fault and s.fault.kind == "stall" for s in FAILING[name].steps)]


def of(*cases: str) -> list[str]:
    return [f"{provider}_{case}" for provider in ("openai", "anthropic") for case in cases]


async def stream(session: Session) -> AsyncIterator[Any]:
    scenario: Scenario = session.scenario
    if scenario.provider == "openai":
        async with openai_client(session) as client:
            answer: Any = await client.responses.create(model=scenario.model, input=scenario.prompt, stream=True)
            async for event in answer:
                yield event
        return
    async with anthropic_client(session) as client:
        said: Any = {"role": "user", "content": scenario.prompt}
        answer = await client.messages.create(model=scenario.model, max_tokens=99, messages=[said], stream=True)
        async for event in answer:
            yield event


async def listen(session: Session, events: list[Any]) -> None:
    """Adds each event as it comes, so that those before an exception are not lost."""
    async for event in stream(session):
        events.append(event)  # noqa: PERF401


async def told(session: Session) -> list[Any]:
    return [event async for event in stream(session)]


@pytest.mark.parametrize("name", HTTP)
async def test_an_http_error_is_the_sdks_exception(name: str, server: ProviderServer):
    session = server.play(name)
    with pytest.raises((openai.APIStatusError, anthropic.APIStatusError)) as caught:
        await told(session)
    step = session.scenario.steps[0]
    assert caught.value.status_code == step.status
    error = caught.value.body
    if isinstance(error, dict):
        error = error.get("error", error)
        assert (error.get("code") or error["type"]) == session.scenario.expected_response.error["code"]
    assert step.headers.items() <= dict(caught.value.response.headers).items()
    session.check()


@pytest.mark.parametrize("name", of("cut_reset", "cut_close"))
async def test_a_cut_answer_is_an_exception_after_what_came_before(name: str, server: ProviderServer):
    events: list[Any] = []
    with pytest.raises((openai.APIConnectionError, anthropic.APIConnectionError, httpx2.TransportError)):
        await listen(server.play(name), events)
    assert events[-1].type in {"response.output_text.delta", "content_block_delta"}


@pytest.mark.parametrize("name", of("cut_end"))
async def test_an_answer_that_lacks_its_end_ends_silently(name: str, server: ProviderServer):
    events = await told(server.play(name))
    assert events[-1].type in {"response.output_text.delta", "content_block_delta"}


@pytest.mark.parametrize("name", of("hang_up"))
async def test_a_hang_up_is_a_connection_error(name: str, server: ProviderServer):
    with pytest.raises((openai.APIConnectionError, anthropic.APIConnectionError)):
        await told(server.play(name))


@pytest.mark.parametrize("name", SILENT)
async def test_silence_lasts_until_the_client_leaves(name: str, server: ProviderServer):
    session, events = server.play(name), list[Any]()
    listening = asyncio.create_task(listen(session, events))
    wanted = sum(isinstance(chunk, str) and '"type":"ping"' not in chunk for chunk in session.scenario.steps[0].chunks)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not (session.requests and len(events) == wanted):
            await asyncio.sleep(0.005)
        listening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await listening
        while not session.requests[0].answered:
            await asyncio.sleep(0.005)
    assert session.requests[0].hung_up


@pytest.mark.parametrize("name", of("malformed", "malformed_first"))
async def test_malformed_data_is_no_json_to_the_sdk(name: str, server: ProviderServer):
    with pytest.raises(ValueError, match=r"Unterminated string|Expecting value"):
        await told(server.play(name))


@pytest.mark.parametrize("name", [name for name in of("error_event", "error_event_first") if name in FAILING])
async def test_an_error_event_has_the_providers_code(name: str, server: ProviderServer):
    session = server.play(name)
    code = session.scenario.expected_response.error["code"]
    if name == "openai_error_event":
        assert (await told(session))[-1].code == code
        return
    with pytest.raises(anthropic.APIStatusError) as caught:
        await told(session)
    assert caught.value.body["error"]["type"] == code


async def test_an_error_event_of_openai_may_be_nested(server: ProviderServer):
    with pytest.raises(openai.APIError) as caught:
        await told(server.play("openai_error_event_nested"))
    assert caught.value.body["code"] == "server_is_overloaded"


@pytest.mark.parametrize("name", [name for name in FAILING if "response_failed" in name])
async def test_a_failed_response_has_its_error(name: str, server: ProviderServer):
    session = server.play(name)
    last = (await told(session))[-1]
    assert last.type == "response.failed"
    assert last.response.error.code == session.scenario.expected_response.error["code"]


@pytest.mark.parametrize("name", of("out_of_order"))
async def test_events_come_out_of_order(name: str, server: ProviderServer):
    types = [event.type for event in await told(server.play(name))]
    delta = next(index for index, type_ in enumerate(types) if type_.endswith("delta"))
    start = next(i for i, type_ in enumerate(types) if type_ in {"response.output_item.added", "content_block_start"})
    assert delta < start


@pytest.mark.parametrize("name", ["openai_http_429_then_whole", "anthropic_cut_then_whole"])
async def test_the_second_attempt_may_succeed(name: str, server: ProviderServer):
    session = server.play(name)
    with pytest.raises((openai.APIError, anthropic.APIError, httpx2.TransportError)):
        await told(session)
    with pytest.raises(AssertionError, match="step 1 was not played"):
        session.check()
    await told(session)
    session.check()
