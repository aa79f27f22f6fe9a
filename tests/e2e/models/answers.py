"""Answers of either API for tests that make their text up on the spot: messages and tool calls, in scenarios.

The cases with an `expected_response` written by hand are the files in `fixtures/providers/scenarios`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from fixtures.providers import wire

Api = Literal["openai", "anthropic"]
APIS: tuple[Api, ...] = ("openai", "anthropic")
MODELS: dict[Api, str] = {"openai": "gpt-5-mini", "anthropic": "claude-haiku-4.5"}
TOKENS = 10, 5
"""Of each answer: into it and out of it."""
HOLD = {"hold": True}
"""Among chunks: wait until the test releases the session."""


@dataclass(frozen=True)
class Text:
    """A message."""

    text: str


@dataclass(frozen=True)
class Call:
    """A tool call."""

    call_id: str
    name: str
    arguments: dict[str, Any]


Part = Text | Call


def answer(api: Api, name: str, *parts: Part, delta_length: int = 8) -> list[Any]:
    """The chunks of an answer that ends well, an event each; `name` makes its ids."""
    model = MODELS[api]
    if api == "openai":
        items = [_openai_item(f"{name}_{index}", part) for index, part in enumerate(parts)]
        chunks = wire.openai_answer(model, f"resp_{name}", items, wire.openai_usage(*TOKENS), delta_length=delta_length)
    else:
        blocks = [_anthropic_block(part) for part in parts]
        usage = wire.anthropic_usage(*TOKENS)
        chunks = wire.anthropic_answer(model, f"msg_{name}", blocks, usage, delta_length=delta_length)
    return list(chunks)


def scenario(api: Api, *answers: Sequence[Any] | dict[str, Any]) -> dict[str, Any]:
    """A scenario of these answers: chunks, or a whole step."""
    steps = [each if isinstance(each, dict) else {"chunks": list(each)} for each in answers]
    return {"provider": api, "model": MODELS[api], "prompt": "", "steps": steps, "expected_response": {}}


def refused(api: Api, status: int, code: str, message: str = "Sorry.") -> dict[str, Any]:
    """A step that is answered with an HTTP error."""
    error = {"type": code, "code": code, "message": message} if api == "openai" else {"type": code, "message": message}
    body = {"error": error} if api == "openai" else {"type": "error", "error": error}
    return {"status": status, "chunks": [json.dumps(body)], "times": None}


def _openai_item(name: str, part: Part) -> dict[str, Any]:
    if isinstance(part, Text):
        return wire.openai_message_item(f"msg_{name}", part.text)
    return wire.openai_call_item(f"fc_{name}", part.call_id, part.name, json.dumps(part.arguments))


def _anthropic_block(part: Part) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    return {"type": "tool_use", "id": part.call_id, "name": part.name, "input": part.arguments}
