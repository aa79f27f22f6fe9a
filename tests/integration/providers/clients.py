"""The official SDKs at a session of the provider server: each plays the turn of a scenario as an agent would."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol

import anthropic
import openai
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI

from fixtures.providers.scenario import Scenario


class Address(Protocol):
    """Where to ask, and what: a session, or the server without one."""

    @property
    def scenario(self) -> Scenario: ...
    @property
    def openai_base_url(self) -> str: ...
    @property
    def anthropic_base_url(self) -> str: ...


TOOLS = ("list_dir", "read_file", "write_file", "shell")
SCHEMA: dict[str, Any] = {"type": "object", "properties": {}}
TERMINAL = {"response.completed", "response.incomplete"}


@asynccontextmanager
async def openai_client(session: Address) -> AsyncIterator[AsyncOpenAI]:
    plain = openai.DefaultAsyncHttpxClient(
        verify=False
    )  # there is no TLS here, and root certificates take long to read
    async with AsyncOpenAI(
        base_url=session.openai_base_url, api_key="none", max_retries=0, http_client=plain
    ) as client:
        yield client


@asynccontextmanager
async def anthropic_client(session: Address) -> AsyncIterator[AsyncAnthropic]:
    plain = anthropic.DefaultAsyncHttpxClient(verify=False)
    async with AsyncAnthropic(
        base_url=session.anthropic_base_url, api_key="none", max_retries=0, http_client=plain
    ) as client:
        yield client


def tool_output(scenario: Scenario, call_id: str) -> tuple[str, bool]:
    """What the scenario expects of the tool: any text that fits, and whether it succeeded."""
    for item in scenario.expected_response.items:
        if item["type"] == "function_call_output" and item["call_id"] == call_id:
            output = item["output"]
            text = output.get("$contains", "anything") if isinstance(output, Mapping) else output
            return str(text), item["success"]
    raise AssertionError(f"the scenario has no output of {call_id}")


async def openai_turn(session: Address, history: list[Any] | None = None) -> list[Any]:
    """Play the whole turn; gives each answer's final response. `history` gets what was said, for a next turn."""
    scenario, entries = session.scenario, history if history is not None else []
    entries.append({"role": "user", "content": scenario.prompt})
    tools: list[Any] = [{"type": "function", "name": name, "parameters": SCHEMA, "strict": False} for name in TOOLS]
    finals: list[Any] = []
    async with openai_client(session) as client:
        while not finals or any(item.type == "function_call" for item in finals[-1].output):
            stream = await client.responses.create(
                model=scenario.model,
                input=list(entries),
                tools=tools,
                include=["reasoning.encrypted_content"],
                stream=True,
            )
            finals.append(await openai_final(stream))
            for item in finals[-1].output:
                entries.append(item.to_dict(mode="json"))
                if item.type == "function_call":
                    output, _ = tool_output(scenario, item.call_id)
                    entries.append({"type": "function_call_output", "call_id": item.call_id, "output": output})
    return finals


async def openai_final(stream: Any) -> Any:
    """The response of the last event, once the deltas before it were found to add up to its text."""
    deltas: list[str] = []
    last: Any = None
    async for event in stream:
        if event.type in {"response.output_text.delta", "response.refusal.delta"}:
            deltas.append(event.delta)
        last = event
    assert last is not None
    assert last.type in TERMINAL, last
    assert "".join(deltas) == openai_text(last.response)
    return last.response


def openai_text(response: Any) -> str:
    parts = (part for item in response.output if item.type == "message" for part in item.content)
    return "".join(part.refusal if part.type == "refusal" else part.text for part in parts)


async def anthropic_turn(session: Address, history: list[Any] | None = None) -> list[Any]:
    """Play the whole turn; gives each answer's final message. `history` gets what was said, for a next turn."""
    scenario, messages = session.scenario, history if history is not None else []
    messages.append({"role": "user", "content": scenario.prompt})
    tools: list[Any] = [{"name": name, "input_schema": SCHEMA} for name in TOOLS]
    budget = scenario.agent.get("thinking_budget")
    thinking: Any = {"type": "enabled", "budget_tokens": budget} if budget else {"type": "disabled"}
    finals: list[Any] = []
    async with anthropic_client(session) as client:
        while not finals or finals[-1].stop_reason == "tool_use":
            async with client.messages.stream(
                model=scenario.model, max_tokens=4096, messages=list(messages), tools=tools, thinking=thinking
            ) as stream:
                finals.append(await stream.get_final_message())
            blocks = [block.to_dict(mode="json") for block in finals[-1].content]
            messages.append({"role": "assistant", "content": blocks})
            if results := [_result(scenario, block["id"]) for block in blocks if block["type"] == "tool_use"]:
                messages.append({"role": "user", "content": results})
    return finals


def _result(scenario: Scenario, call_id: str) -> dict[str, Any]:
    output, success = tool_output(scenario, call_id)
    return {"type": "tool_result", "tool_use_id": call_id, "content": output, "is_error": not success}
