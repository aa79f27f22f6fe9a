"""Turns of the real Claude Code against a provider that says what a test tells it to."""

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from cody.agents.base import Job, Patience, Result, Stop
from cody.agents.claude_code import ClaudeCodeAgent
from cody.agents.connections import Connection
from cody.agents.environment import agent_environment
from cody.agents.keepers import Keepers
from cody.agents.sweep import worker_marker
from cody.contract.agents import ClaudeCodeAgent as Settings
from fixtures.providers.scenario import Scenario
from fixtures.providers.server import ProviderServer
from fixtures.providers.session import Session
from tests.integration.agents.agents_bench import Heard, until

MODEL = "claude-sonnet-4-5"
KEY = "sk-test-key"
HOLD = {"hold": True}
"""A chunk: nothing more is sent until the test says so."""


def event(type_: str, **data: Any) -> str:
    """An event as the API sends it."""
    return f"event: {type_}\ndata: {json.dumps({'type': type_, **data})}\n\n"


def begin(message_id: str, *, fresh: int = 10, new: int = 0, cached: int = 0) -> str:
    usage = {"input_tokens": fresh, "cache_creation_input_tokens": new, "cache_read_input_tokens": cached}
    message = {
        "id": message_id, "type": "message", "role": "assistant", "model": MODEL, "content": [],
        "stop_reason": None, "stop_sequence": None, "usage": {**usage, "output_tokens": 1},
    }  # fmt: skip
    return event("message_start", message=message)


def block(index: int, start: Mapping[str, Any], deltas: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        event("content_block_start", index=index, content_block=start),
        *(event("content_block_delta", index=index, delta=delta) for delta in deltas),
        event("content_block_stop", index=index),
    ]


def text(index: int, *pieces: str) -> list[str]:
    return block(index, {"type": "text", "text": ""}, [{"type": "text_delta", "text": piece} for piece in pieces])


def thinking(index: int, *pieces: str) -> list[str]:
    deltas: list[dict[str, str]] = [{"type": "thinking_delta", "thinking": piece} for piece in pieces]
    signature = {"type": "signature_delta", "signature": "c2lnbmF0dXJl"}
    return block(index, {"type": "thinking", "thinking": "", "signature": ""}, [*deltas, signature])


def tool(index: int, call_id: str, name: str, arguments: Mapping[str, Any]) -> list[str]:
    whole = json.dumps(arguments)
    pieces = (whole[: len(whole) // 2], whole[len(whole) // 2 :])
    start = {"type": "tool_use", "id": call_id, "name": name, "input": {}}
    return block(index, start, [{"type": "input_json_delta", "partial_json": piece} for piece in pieces])


def end(reason: str = "end_turn", *, output: int = 5) -> list[str]:
    delta = {"stop_reason": reason, "stop_sequence": None}
    return [event("message_delta", delta=delta, usage={"output_tokens": output}), event("message_stop")]


def answer(message_id: str, *blocks: Sequence[str], reason: str = "end_turn", output: int = 5, **usage: int) -> Any:
    """A step of a scenario: one whole answer."""
    chunks = [begin(message_id, **usage)]
    for each in blocks:
        chunks += each
    return {"chunks": [*chunks, *end(reason, output=output)]}


def calls(message_id: str, *blocks: Sequence[str], **more: Any) -> Any:
    """An answer that ends with tool calls."""
    return answer(message_id, *blocks, reason="tool_use", **more)


def refusal(status: int, type_: str, message: str = "no", times: int | None = None) -> Any:
    """The API's answer with an error."""
    body = {"type": "error", "error": {"type": type_, "message": message}}
    return {"status": status, "chunks": [json.dumps(body)], "times": times}


class ClaudeHeard(Heard):
    """A sink that knows what it was asked to remember, too."""

    def __init__(self) -> None:
        super().__init__()
        self.remembered: dict[str, Any] = {}

    def remember(self, carry: Mapping[str, Any]) -> None:
        self.remembered = dict(carry)

    def items(self) -> list[dict[str, Any]]:
        """The finished items."""
        return [payload.final_item.model_dump(exclude_none=True) for payload in self.of("item_done")]

    def contents(self) -> list[str]:
        """What the finished messages say."""
        return [item["content"] for item in self.items() if item["type"] == "message"]

    def open_items(self) -> set[str]:
        """Items that began and did not end in any way."""
        ended = [*self.of("item_done"), *self.of("item_cancelled"), *self.of("item_error")]
        return {each.item_id for each in self.of("item_start")} - {each.item_id for each in ended}

    def streamed(self, item_id: str) -> str:
        """The deltas of an item."""
        return "".join(each.delta_content for each in self.of("item_delta") if each.item_id == item_id)

    def warnings(self) -> list[str]:
        return [each.code for each in self.of("warning")]


@dataclass
class Turn:
    """A turn that is over, or goes on."""

    heard: ClaudeHeard
    session: Session
    stop: Stop
    result: Result | None = None

    @property
    def ended(self) -> Result:
        assert self.result is not None
        return self.result


@dataclass
class ClaudeBench:
    """Runs turns in a directory of its own, with a home of its own."""

    server: ProviderServer
    keepers: Keepers
    root: Path
    home: Path
    run_id: str = field(default_factory=lambda: f"run_{uuid4().hex}")

    def play(self, *steps: Any) -> Turn:
        """A turn that has not begun, and the provider's words for it."""
        scenario = {"provider": "anthropic", "model": MODEL, "prompt": "hello", "steps": steps, "expected_response": {}}
        return Turn(ClaudeHeard(), self.server.play(Scenario.model_validate(scenario)), Stop())

    async def run(self, *steps: Any, **changes: Any) -> Turn:
        """A whole turn."""
        return await self.take(self.play(*steps), **changes)

    async def run_past_hold(self, *steps: Any, item_id: str = "msg_1_0", **changes: Any) -> Turn:
        """A whole turn; what its provider holds back comes when something of the item before it was told."""
        turn = self.play(*steps)
        async with asyncio.TaskGroup() as group:
            group.create_task(self.take(turn, **changes))
            await until(lambda: turn.heard.streamed(item_id))
            turn.session.release()
        return turn

    async def take(self, turn: Turn, /, **changes: Any) -> Turn:
        """Do the turn; `settings` are the agent's, the rest changes the job."""
        settings = {"model": MODEL, **changes.pop("settings", {})}
        run_env = {"HOME": str(self.home), **changes.pop("env", {})}
        attempt = changes.get("attempt", 1)
        fields: dict[str, Any] = {
            "run_id": self.run_id,
            "turn": 1,
            "attempt": attempt,
            "turn_id": "turn_1",
            "response_id": "resp_1",
            "thread_id": "thread_1",
            "agent": Settings(kind="claude-code", **settings),
            "prompt": "hello",
            "working_dir": self.root,
            "env": agent_environment(
                os.environ, run_env, run_id=self.run_id, turn=1, attempt=attempt, worker=worker_marker()
            ),
            "stop": turn.stop,
            "kill_grace_seconds": 5.0,
            "connection": Connection(turn.session.anthropic_base_url, KEY),
            "patience": Patience(),
        }
        job = Job(**(fields | changes))
        turn.result = await ClaudeCodeAgent(self.keepers).run(job, turn.heard)
        return turn
