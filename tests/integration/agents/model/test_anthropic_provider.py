"""One answer of Anthropic's API over the real SDK and a real connection: whole, broken in every way, and cancelled."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from cody.agents.base import Patience
from cody.agents.connections import Connection
from cody.agents.model.anthropic import AnthropicProvider
from cody.agents.model.items import Items, OutOfOrder
from cody.agents.model.protocol import Answer, ProviderFailed, Question, ToolSpec, UserText
from cody.contract.items import Item
from cody.contract.payloads import Payload
from cody.contract.usage import Usage
from fixtures.providers import wire
from fixtures.providers.scenario import Scenario
from fixtures.providers.server import ProviderServer
from fixtures.providers.session import Session
from tests.parts import until

MODEL = "claude-haiku-4.5"
QUESTION = Question(MODEL, "Be brief.", [UserText("Hi")], [ToolSpec("list_dir", "Lists.", {"type": "object"})])
BLOCKS: list[dict[str, Any]] = [
    {"type": "thinking", "thinking": "They greet.", "signature": "EqQB"},
    {"type": "text", "text": "Grüße, 世界!"},
    {"type": "tool_use", "id": "toolu_1", "name": "list_dir", "input": {"path": "."}},
]
CHUNKS = wire.anthropic_answer(MODEL, "msg_1", BLOCKS, wire.anthropic_usage(20, 9, read=100))


USUAL = Patience()


class Heard:
    """A sink with room."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Payload]] = []

    def emit(self, type_: str, payload: Payload) -> None:
        self.events.append((type_, payload))

    async def ready(self) -> None:
        return


class Asked:
    """An answer that was asked for: what was heard, and how it ended."""

    def __init__(self, session: Session, patience: Patience = USUAL) -> None:
        self.session = session
        self.heard = Heard()
        self.items = Items(self.heard)
        self.provider = AnthropicProvider(Connection(session.anthropic_base_url, "key"), patience)

    async def answer(self, question: Question = QUESTION) -> Answer:
        try:
            return await self.provider.answer(question, self.items)
        finally:
            await self.provider.close()

    async def failure(self) -> ProviderFailed | OutOfOrder:
        with pytest.raises((ProviderFailed, OutOfOrder)) as raised:
            await self.answer()
        return raised.value

    @property
    def done(self) -> list[Item]:
        return [item for item, _ in self.items.done_items]


@pytest.fixture
async def server() -> AsyncIterator[ProviderServer]:
    async with ProviderServer() as server:
        yield server


def play(server: ProviderServer, *, expect: dict[str, Any] | None = None, **step: Any) -> Session:
    steps = [{"expect": expect or {}, "chunks": CHUNKS, **step}]
    fields = {"provider": "anthropic", "model": MODEL, "prompt": "Hi", "steps": steps, "expected_response": {}}
    return server.play(Scenario.model_validate(fields))


def check_whole(asked: Asked, answer: Answer) -> None:
    thought, message, call = asked.done
    assert (thought.id, thought.model_dump()["content"]) == ("msg_1_0", "They greet.")
    assert (message.id, message.model_dump()["content"]) == ("msg_1_1", "Grüße, 世界!")
    assert (call.id, json.loads(call.model_dump()["arguments"])) == ("toolu_1", {"path": "."})
    usage = Usage(prompt_tokens=120, completion_tokens=9, total_tokens=129, cached_tokens=100)
    assert answer == Answer("tool_calls", usage)


async def test_a_whole_answer_comes_over_the_wire(server: ProviderServer) -> None:
    expect = {
        "model": MODEL,
        "tools": ["list_dir"],
        "messages": [{"role": "user", "content": "Hi"}],
        "body": {"stream": True, "system": "Be brief.", "max_tokens": 32_000},
        "absent": ["thinking", "tool_choice"],
    }
    asked = Asked(play(server, expect=expect))
    check_whole(asked, await asked.answer())
    asked.session.check()


async def test_a_thinking_budget_is_sent(server: ProviderServer) -> None:
    expect = {"body": {"thinking": {"type": "enabled", "budget_tokens": 2_048}}}
    asked = Asked(play(server, expect=expect))
    await asked.answer(Question(MODEL, None, [UserText("Hi")], [], thinking_budget=2_048))
    asked.session.check()


async def test_a_slow_drip_is_no_silence(server: ProviderServer) -> None:
    asked = Asked(play(server, pace={"bytes": 7, "between_seconds": 0.001}), Patience(10.0, silence_seconds=0.5))
    check_whole(asked, await asked.answer())


@pytest.mark.parametrize(
    ("status", "code", "retryable"),
    [
        (400, "invalid_request_error", False),
        (401, "authentication_error", False),
        (403, "permission_error", False),
        (404, "not_found_error", False),
        (413, "request_too_large", False),
        (429, "rate_limit_error", True),
        (500, "api_error", True),
        (504, "timeout_error", True),
        (529, "overloaded_error", True),
    ],
)
async def test_an_http_error_is_told_once_with_its_code(
    server: ProviderServer, status: int, code: str, retryable: bool
) -> None:
    body = {"type": "error", "error": {"type": code, "message": "Sorry."}, "request_id": "req_1"}
    session = play(server, status=status, headers={"retry-after": "2"}, chunks=[json.dumps(body)])
    asked = Asked(session)
    error = (await asked.failure()).error
    assert (error.code, error.message, error.retryable) == (code, "Sorry.", retryable)
    assert error.details == {"status": status, "retry_after_seconds": 2.0}
    assert len(session.requests) == 1
    assert asked.heard.events == []


async def test_an_error_page_of_a_proxy_has_its_status_as_its_code(server: ProviderServer) -> None:
    page = {"status": 502, "headers": {"content-type": "text/html"}, "chunks": ["<h1>Bad gateway</h1>"]}
    error = (await Asked(play(server, **page)).failure()).error
    assert (error.code, error.retryable) == ("http_502", True)


BROKEN_OFF = wire.event("error", {"error": {"type": "overloaded_error", "message": "Overloaded"}})
MIDDLE = len(CHUNKS) // 2


@pytest.mark.parametrize(
    ("step", "code"),
    [
        ({"chunks": CHUNKS[:MIDDLE], "fault": {"kind": "reset"}}, "provider_stream_cut"),
        ({"chunks": CHUNKS[:MIDDLE], "fault": {"kind": "close"}}, "provider_stream_cut"),
        ({"chunks": CHUNKS[:-1]}, "provider_stream_cut"),
        ({"chunks": [], "fault": {"kind": "close"}}, "provider_stream_cut"),
        ({"chunks": []}, "provider_malformed"),
        ({"chunks": [], "fault": {"kind": "reset", "before_head": True}}, "provider_unreachable"),
        ({"chunks": [], "fault": {"kind": "close", "before_head": True}}, "provider_unreachable"),
        ({"chunks": [*CHUNKS[:MIDDLE], "event: content_block_delta\ndata: {oops\n\n"]}, "provider_malformed"),
        ({"chunks": [*CHUNKS[:MIDDLE], BROKEN_OFF]}, "overloaded_error"),
        ({"chunks": [CHUNKS[0], *CHUNKS[2:]]}, "stream_sequence_error"),
        ({"chunks": CHUNKS[1:]}, "stream_sequence_error"),
    ],
)
async def test_a_broken_answer_fails_with_its_code(server: ProviderServer, step: dict[str, Any], code: str) -> None:
    error = (await Asked(play(server, **step)).failure()).error
    assert (error.code, error.retryable) == (code, True)


@pytest.mark.parametrize(
    ("step", "patience"),
    [
        ({"fault": {"kind": "stall", "before_head": True}}, Patience(0.3, 60)),
        ({"chunks": [], "fault": {"kind": "stall"}}, Patience(0.3, 60)),
        ({"chunks": CHUNKS[:MIDDLE], "fault": {"kind": "stall"}}, Patience(60, 0.3)),
    ],
)
async def test_a_silent_provider_is_left(server: ProviderServer, step: dict[str, Any], patience: Patience) -> None:
    session = play(server, **step)
    error = (await Asked(session, patience).failure()).error
    assert (error.code, error.retryable) == ("provider_timeout", True)
    await until(lambda: session.requests[0].hung_up)


async def test_an_address_where_nobody_listens_is_unreachable() -> None:
    async with ProviderServer() as server:
        url = server.url
    provider = AnthropicProvider(Connection(url, "key"), Patience())
    with pytest.raises(ProviderFailed) as raised:
        await provider.answer(QUESTION, Items(Heard()))  # type: ignore[arg-type]
    await provider.close()
    assert (raised.value.error.code, raised.value.error.retryable) == ("provider_unreachable", True)


async def test_without_a_key_or_an_address_nothing_is_asked() -> None:
    provider = AnthropicProvider(Connection(), Patience())
    with pytest.raises(ProviderFailed) as raised:
        await provider.answer(QUESTION, Items(Heard()))  # type: ignore[arg-type]
    assert (raised.value.error.code, raised.value.error.retryable) == ("provider_key_missing", False)


async def test_a_server_of_ones_own_needs_no_key(server: ProviderServer) -> None:
    asked = Asked(play(server))
    asked.provider = AnthropicProvider(Connection(asked.session.anthropic_base_url), Patience())
    check_whole(asked, await asked.answer())


async def test_a_cancelled_answer_closes_its_stream(server: ProviderServer) -> None:
    held: Sequence[Any] = [*CHUNKS[:MIDDLE], {"hold": True}, *CHUNKS[MIDDLE:]]
    asked = Asked(play(server, chunks=held))
    task = asyncio.create_task(asked.answer())
    await until(lambda: any(type_ == "item_delta" for type_, _ in asked.heard.events))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: asked.session.requests[0].hung_up)
