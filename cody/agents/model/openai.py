"""OpenAI's Responses API through its official SDK, streaming: one request, one answer."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, cast

from cody.agents.base import Patience
from cody.agents.connections import Connection
from cody.agents.model.failures import broke_off, cut, failure_of, late, missing_key
from cody.agents.model.items import Items
from cody.agents.model.openai_input import KIND, parameters, reasons
from cody.agents.model.openai_stream import Reading
from cody.agents.model.own_headers import ORGANIZATION, withheld
from cody.agents.model.protocol import Answer, ProviderFailed, Question
from cody.agents.model.streams import drain
from cody.agents.model.tls import tls_context

if TYPE_CHECKING:
    from openai import AsyncOpenAI, AsyncStream

NO_KEY: Final = "none"
"""Sent to an address that was given without a key: local servers ask for none."""
USUAL_PLACE: Final = "https://api.openai.com/v1"
"""Said to the SDK, which else takes the service's OPENAI_BASE_URL also for a run that brings a key of its own."""


class OpenAIProvider:
    """See `Provider`. The SDK is imported with the first request, in a thread: that takes a second."""

    def __init__(self, connection: Connection, patience: Patience) -> None:
        self._connection = connection
        self._patience = patience
        self._client: AsyncOpenAI | None = None
        self._takes_reasoning = True

    async def answer(self, question: Question, items: Items) -> Answer:
        """See `Provider.answer`."""
        if self._client is None:
            self._client = await asyncio.to_thread(_client, self._connection, self._patience)
        reasoning = self._takes_reasoning and reasons(question.model)
        try:
            return await self._answer(self._client, question, items, reasoning=reasoning)
        except ProviderFailed as failed:
            if not (reasoning and _refuses_reasoning(failed)):
                raise
        # A name tells too little: some models, and some organisations, are not given summaries.
        self._takes_reasoning = False
        return await self._answer(self._client, question, items, reasoning=False)

    async def close(self) -> None:
        """Let go of the connections."""
        if self._client is not None:
            await self._client.close()

    async def _answer(self, client: "AsyncOpenAI", question: Question, items: Items, *, reasoning: bool) -> Answer:
        reading = Reading(items)
        async with aclosing(_events(client, question, self._patience.answer_seconds, reasoning=reasoning)) as events:
            async for data in events:
                reading.hear(data)
                if reading.answer is not None:
                    await drain(events)
                    return reading.answer
                await items.ready()
        raise cut("the answer ended before the response did")


async def _events(
    client: "AsyncOpenAI", question: Question, answer_seconds: float, *, reasoning: bool
) -> AsyncGenerator[object]:
    """Send the request; the data of each event as it comes, parsed but not looked at.

    Raises ProviderFailed for whatever goes wrong on the way.
    """
    from openai import APIError

    stream: AsyncStream[object] | None = None
    try:
        async with asyncio.timeout(answer_seconds) as answer_due:
            stream = await _ask(client, question, reasoning=reasoning)
            async for data in stream:
                answer_due.reschedule(None)
                yield data
    except TimeoutError as error:
        raise late(f"no answer within {answer_seconds:g} s") from error
    except Exception as error:
        if isinstance(error, APIError) and stream is not None and error.body is not None:
            raise broke_off(error.body) from error
        if (failure := failure_of(error, answering=stream is not None)) is None:
            raise
        raise failure from error
    finally:
        if stream is not None:
            await stream.close()


async def _ask(client: "AsyncOpenAI", question: Question, *, reasoning: bool) -> "AsyncStream[object]":
    """The answer's stream of plain data: the SDK's models would be made without being checked, and cost more."""
    from openai import AsyncStream

    given = parameters(question, reasoning=reasoning)
    answer = await client.responses.with_raw_response.create(**given, stream=True)
    return answer.parse(to=AsyncStream[object])


def _client(connection: Connection, patience: Patience) -> "AsyncOpenAI":
    """A client that neither retries nor waits for longer than it should. Blocks for the import."""
    if connection.api_key is None and connection.base_url is None:
        raise missing_key(KIND, "OPENAI_API_KEY")
    from openai import AsyncOpenAI, DefaultAsyncHttpxClient, Timeout, omit

    timeout = Timeout(patience.silence_seconds, connect=None)
    headers = withheld(connection, "OPENAI_CUSTOM_HEADERS", omit, *ORGANIZATION)
    client = AsyncOpenAI(
        api_key=connection.api_key or NO_KEY,
        base_url=connection.base_url or USUAL_PLACE,
        max_retries=0,
        timeout=timeout,
        default_headers=cast("Mapping[str, str]", headers),
        http_client=DefaultAsyncHttpxClient(timeout=timeout, verify=tls_context()),
    )
    # What it imports only when it is asked for is imported here too.
    _ = client.responses.with_raw_response
    return client


def _refuses_reasoning(failed: ProviderFailed) -> bool:
    """Whether a 400 names one of the fields about reasoning."""
    param = getattr(failed.__cause__, "param", None)
    status = (failed.error.details or {}).get("status")
    return status == 400 and isinstance(param, str) and param.split(".")[0] in {"reasoning", "include"}
