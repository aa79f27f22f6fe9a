"""Turns of the real Codex against a provider that says what a test tells it to."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from cody.agents.base import Job, Patience, Result, Stop
from cody.agents.codex import CodexAgent
from cody.agents.connections import Connection
from cody.agents.environment import agent_environment
from cody.agents.keepers import Keepers
from cody.agents.sweep import worker_marker
from cody.contract.agents import CodexAgent as Settings
from fixtures.providers.scenario import Scenario
from fixtures.providers.server import ProviderServer
from fixtures.providers.session import Session
from tests.integration.agents.agents_bench import Heard

MODEL = "gpt-5.5"
"""A model that this Codex knows; it tells those that it does not by a warning."""
KEY = "sk-test-key"
WORKERS_SECRET = "CODY_TEST_SECRET"
HOLD = {"hold": True}


def event(type_: str, **data: Any) -> str:
    """An event as the API sends it."""
    return f"event: {type_}\ndata: {json.dumps({'type': type_, **data})}\n\n"


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


class CodexHeard(Heard):
    """A sink that knows what it was asked to remember, too."""

    def __init__(self) -> None:
        super().__init__()
        self.remembered: dict[str, Any] = {}

    def remember(self, carry: Mapping[str, Any]) -> None:
        self.remembered = dict(carry)

    def items(self, type_: str) -> list[dict[str, Any]]:
        """The finished items of a type."""
        found = [payload.final_item.model_dump(exclude_none=True) for payload in self.of("item_done")]
        return [item for item in found if item["type"] == type_]

    def outputs(self) -> dict[str, tuple[str, bool]]:
        """What each call was answered, and whether it went well."""
        return {item["call_id"]: (item["output"], item["success"]) for item in self.items("function_call_output")}

    def streamed(self, item_id: str) -> str:
        """The deltas of an item."""
        return "".join(each.delta_content for each in self.of("item_delta") if each.item_id == item_id)

    def open_items(self) -> set[str]:
        """Items that began and did not end in any way."""
        ended = [*self.of("item_done"), *self.of("item_cancelled"), *self.of("item_error")]
        return {each.item_id for each in self.of("item_start")} - {each.item_id for each in ended}

    def warnings(self) -> list[str]:
        return [each.code for each in self.of("warning")]


@dataclass
class Turn:
    """A turn that is over, or goes on."""

    heard: CodexHeard
    session: Session
    stop: Stop
    result: Result | None = None

    @property
    def ended(self) -> Result:
        assert self.result is not None
        return self.result


@dataclass
class CodexBench:
    """Runs turns in a directory of its own, with a home of its own."""

    server: ProviderServer
    keepers: Keepers
    root: Path
    home: Path
    run_id: str = field(default_factory=lambda: f"run_{uuid4().hex}")

    def play(self, *steps: Any) -> Turn:
        """A turn that has not begun, and the provider's words for it."""
        scenario = {"provider": "openai", "model": MODEL, "prompt": "hello", "steps": steps, "expected_response": {}}
        return Turn(CodexHeard(), self.server.play(Scenario.model_validate(scenario)), Stop())

    async def run(self, *steps: Any, **changes: Any) -> Turn:
        """A whole turn."""
        return await self.take(self.play(*steps), **changes)

    async def take(self, turn: Turn, **changes: Any) -> Turn:
        """Do the turn; `settings` are the agent's, the rest changes the job."""
        settings = {"model": MODEL, **changes.pop("settings", {})}
        run_env = {"HOME": str(self.home), "CODEX_HOME": str(self.home / "codex"), **changes.pop("env", {})}
        attempt = changes.get("attempt", 1)
        fields: dict[str, Any] = {
            "run_id": self.run_id,
            "turn": 1,
            "attempt": attempt,
            "turn_id": "turn_1",
            "response_id": "resp_1",
            "thread_id": "thread_1",
            "agent": Settings(kind="codex", **settings),
            "prompt": "hello",
            "working_dir": self.root,
            "env": agent_environment(
                os.environ, run_env, run_id=self.run_id, turn=1, attempt=attempt, worker=worker_marker()
            ),
            "stop": turn.stop,
            "kill_grace_seconds": 5.0,
            "connection": Connection(turn.session.openai_base_url, KEY),
            "patience": Patience(),
        }
        job = Job(**(fields | changes))
        turn.result = await CodexAgent(self.keepers).run(job, turn.heard)
        return turn
