"""Turns of the real Claude Code against a provider that says what a test tells it to."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

from cody.agents.claude_code import ClaudeCodeAgent
from cody.contract.agents import ClaudeCodeAgent as Settings
from fixtures.providers.session import Session
from tests.integration.agents.driven_stage import DrivenStage, Turn, event
from tests.parts import until

MODEL = "claude-sonnet-4-5"


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


class ClaudeStage(DrivenStage):
    """Turns of `claude-code`."""

    provider, model = "anthropic", MODEL

    def agent(self) -> ClaudeCodeAgent:
        return ClaudeCodeAgent(self.keepers)

    def spec(self, **settings: Any) -> Settings:
        return Settings(kind="claude-code", **settings)

    def base_url(self, session: Session) -> str:
        return session.anthropic_base_url

    async def run_past_hold(self, *steps: Any, item_id: str = "msg_1_0", **changes: Any) -> Turn:
        """A whole turn; what its provider holds back comes when something of the item before it was told."""
        turn = self.play(*steps)
        async with asyncio.TaskGroup() as group:
            group.create_task(self.take(turn, **changes))
            await until(lambda: turn.heard.streamed(item_id))
            turn.session.release()
        return turn
