"""Anthropic's Messages API through its official SDK, streaming: one request, one answer."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, Protocol, cast

from cody.agents.base import Patience
from cody.agents.connections import Connection
from cody.agents.model.anthropic_messages import KIND, messages_of, tools_of
from cody.agents.model.anthropic_stream import Reading
from cody.agents.model.failures import cut, failure_of, late, malformed, missing_key
from cody.agents.model.items import Items
from cody.agents.model.own_headers import withheld
from cody.agents.model.protocol import Answer, ProviderFailed, Question
from cody.agents.model.streams import drain
from cody.agents.model.tls import tls_context

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic, AsyncStream
    from anthropic.types import RawMessageStreamEvent

USUAL_PLACE: Final = "https://api.anthropic.com"
"""Said to the SDK, which else takes the service's ANTHROPIC_BASE_URL also for a run that brings a key of its own."""
NO_KEY: Final = "none"
"""Sent to an address that was given without a key: local servers ask for none."""

OUTPUT_TOKENS: Final = (
    (re.compile(r"claude-3-(?!5|7)"), 4_096),
    (re.compile(r"claude-3"), 8_192),
    (re.compile(r"claude-[a-z]+-\d"), 32_000),
)
"""How much a model of each generation may write; the API wants a bound, and refuses one above the model's own."""
OUTPUT_TOKENS_UNLESS_KNOWN: Final = 8_192
ROOM_BESIDE_THINKING: Final = 8_192
"""The bound counts thinking too: what is left for the answer when the whole budget was thought."""


def max_tokens_of(model: str, thinking_budget: int | None) -> int:
    """The bound of an answer of this model."""
    known = (bound for pattern, bound in OUTPUT_TOKENS if pattern.search(model))
    bound = next(known, OUTPUT_TOKENS_UNLESS_KNOWN)
    return bound if thinking_budget is None else max(bound, thinking_budget + ROOM_BESIDE_THINKING)


class AnthropicProvider:
    """See `Provider`. The SDK is imported with the first request, in a thread: that takes a second."""

    def __init__(self, connection: Connection, patience: Patience) -> None:
        self._connection = connection
        self._patience = patience
        self._client: AsyncAnthropic | None = None

    async def answer(self, question: Question, items: Items) -> Answer:
        """See `Provider.answer`."""
        if self._client is None:
            self._client = await asyncio.to_thread(_client, self._connection, self._patience)
        reading = Reading(items)
        async with aclosing(_events(self._client, question, self._patience.answer_seconds)) as events:
            async for data in events:
                reading.hear(data)
                await items.ready()
                if reading.answer is not None:
                    await drain(events)
                    return reading.answer
        raise cut("the answer ended before message_stop")

    async def close(self) -> None:
        """Let go of the connections."""
        if self._client is not None:
            await self._client.close()


class _Event(Protocol):
    """An event of the stream, as the SDK decodes it."""

    @property
    def data(self) -> str: ...


async def _events(client: "AsyncAnthropic", question: Question, answer_seconds: float) -> AsyncGenerator[str]:
    """Send the request; the data of each event as it comes, unparsed, as the SDK's own parsing is lenient.

    Raises ProviderFailed for whatever goes wrong on the way.
    """
    from anthropic import AsyncStream

    stream: AsyncStream[RawMessageStreamEvent] | None = None
    try:
        try:
            async with asyncio.timeout(answer_seconds):
                stream = await _ask(client, question)
                events = AsyncStream.raw_events(stream.response)
                first = await _first(events, stream.response.headers)
        except TimeoutError as error:
            raise late(f"no answer within {answer_seconds:g} s") from error
        yield first.data
        async for event in events:
            yield event.data
    except ProviderFailed:
        raise
    except Exception as error:
        if (failure := failure_of(error, answering=stream is not None)) is None:
            raise
        raise failure from error
    finally:
        if stream is not None:
            await stream.close()


async def _first(events: AsyncIterator[_Event], headers: Mapping[str, str]) -> _Event:
    """The first event; an answer without any is something else, such as the page of a proxy."""
    first = await anext(events, None)
    if first is None:
        raise malformed(f"an answer of type {headers.get('content-type')!r} without any event")
    return first


def _client(connection: Connection, patience: Patience) -> "AsyncAnthropic":
    """A client that neither retries nor waits for longer than it should. Blocks for the import."""
    if connection.api_key is None and connection.base_url is None:
        raise missing_key(KIND, "ANTHROPIC_API_KEY")
    from anthropic import AsyncAnthropic, DefaultAsyncHttpxClient, Timeout, omit

    timeout = Timeout(patience.silence_seconds, connect=None)
    return AsyncAnthropic(
        api_key=connection.api_key or NO_KEY,
        base_url=connection.base_url or USUAL_PLACE,
        max_retries=0,
        timeout=timeout,
        default_headers=cast("Mapping[str, str]", withheld(connection, "ANTHROPIC_CUSTOM_HEADERS", omit)),
        http_client=DefaultAsyncHttpxClient(timeout=timeout, verify=tls_context()),
    )


async def _ask(client: "AsyncAnthropic", question: Question) -> "AsyncStream[RawMessageStreamEvent]":
    from anthropic import omit

    budget, tools = question.thinking_budget, tools_of(question)
    return await client.messages.create(
        model=question.model,
        max_tokens=max_tokens_of(question.model, budget),
        system=question.instructions or omit,
        messages=messages_of(question),
        tools=tools or omit,
        tool_choice={"type": "none"} if tools and not question.tools else omit,
        thinking={"type": "enabled", "budget_tokens": budget} if budget is not None else omit,
        stream=True,
    )
