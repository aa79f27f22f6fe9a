"""Turns of the real Codex against a provider that says what a test tells it to."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from cody.agents.codex import CodexAgent
from cody.contract.agents import CodexAgent as Settings
from fixtures.providers.session import Session
from tests.integration.agents.driven_stage import DrivenStage, event

MODEL = "gpt-5.5"
"""A model that this Codex knows; it tells those that it does not by a warning."""
WORKERS_SECRET = "CODY_TEST_SECRET"


def begin(response_id: str = "resp_1") -> str:
    return event("response.created", response={"id": response_id, "object": "response", "status": "in_progress"})


def end(*, prompt: int = 10, cached: int = 4, completion: int = 5, reasoning: int = 2) -> str:
    usage = {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": cached},
        "output_tokens": completion,
        "output_tokens_details": {"reasoning_tokens": reasoning},
        "total_tokens": prompt + completion,
    }
    return event("response.completed", response={"id": "resp_1", "status": "completed", "usage": usage})


def message(id_: str, *pieces: str) -> list[str]:
    whole = {"type": "output_text", "text": "".join(pieces), "annotations": []}
    item = {"type": "message", "id": id_, "role": "assistant", "status": "in_progress", "content": []}
    return [
        *part_of_message(id_, *pieces),
        event("response.output_item.done", output_index=0, item={**item, "status": "completed", "content": [whole]}),
    ]


def part_of_message(id_: str, *pieces: str) -> list[str]:
    """A message that goes on, or breaks off."""
    item = {"type": "message", "id": id_, "role": "assistant", "status": "in_progress", "content": []}
    return [
        event("response.output_item.added", output_index=0, item=item),
        *(
            event("response.output_text.delta", item_id=id_, output_index=0, content_index=0, delta=piece)
            for piece in pieces
        ),
    ]


def reasoning(id_: str, *parts: str) -> list[str]:
    """Reasoning whose summary has these parts, each in two deltas."""
    told = [event("response.output_item.added", item={"type": "reasoning", "id": id_, "summary": []})]
    for index, part in enumerate(parts):
        empty = {"type": "summary_text", "text": ""}
        told.append(event("response.reasoning_summary_part.added", item_id=id_, summary_index=index, part=empty))
        told += [
            event("response.reasoning_summary_text.delta", item_id=id_, summary_index=index, delta=piece)
            for piece in (part[:3], part[3:])
        ]
    summary = [{"type": "summary_text", "text": part} for part in parts]
    item = {"type": "reasoning", "id": id_, "summary": summary, "encrypted_content": "c2VjcmV0"}
    return [*told, event("response.output_item.done", item=item)]


def tool(call_id: str, name: str, arguments: Mapping[str, Any] | str) -> list[str]:
    written = arguments if isinstance(arguments, str) else json.dumps(arguments)
    item = {"type": "function_call", "id": f"fc_{call_id}", "call_id": call_id, "name": name, "arguments": ""}
    return [
        event("response.output_item.added", item=item),
        event("response.function_call_arguments.delta", item_id=item["id"], delta=written),
        event("response.output_item.done", item={**item, "arguments": written}),
    ]


def shell(call_id: str, command: str, **more: Any) -> list[str]:
    return tool(call_id, "exec_command", {"cmd": command, **more})


def patch(call_id: str, *lines: str) -> list[str]:
    text = "\n".join(("*** Begin Patch", *lines, "*** End Patch", ""))
    item = {"type": "custom_tool_call", "id": f"ctc_{call_id}", "call_id": call_id, "name": "apply_patch"}
    return [event("response.output_item.done", item={**item, "input": text})]


def answer(*parts: Sequence[str], expect: Mapping[str, Any] | None = None, **usage: int) -> dict[str, Any]:
    """A step of a scenario: one whole answer."""
    chunks = [begin(), *(chunk for part in parts for chunk in part), end(**usage)]
    return {"chunks": chunks, "expect": dict(expect or {})}


def torn(*parts: Any, **fault: Any) -> dict[str, Any]:
    """An answer that is never finished: the connection is closed, unless told otherwise."""
    chunks = [begin(), *(chunk for part in parts for chunk in part)]
    return {"chunks": chunks, "fault": {"kind": "close", **fault}}


def refusal(status: int, code: str | None, message: str = "no", type_: str = "invalid_request_error") -> dict[str, Any]:
    """The API's answer with an error, however often it is asked."""
    body = {"error": {"message": message, "type": type_, "param": None, "code": code}}
    return {"status": status, "chunks": [json.dumps(body)], "times": None}


class CodexStage(DrivenStage):
    """Turns of `codex`."""

    provider, model = "openai", MODEL

    def agent(self) -> CodexAgent:
        return CodexAgent(self.keepers)

    def spec(self, **settings: Any) -> Settings:
        return Settings(kind="codex", **settings)

    def base_url(self, session: Session) -> str:
        return session.openai_base_url

    def environment(self) -> dict[str, str]:
        return super().environment() | {"CODEX_HOME": str(self.home / "codex")}
