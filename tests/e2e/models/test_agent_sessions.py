"""Codex and Claude Code on a thread: their own session goes on over runs; what it does not know is told as text."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from cody.agents.conversation import BEFORE
from cody.contract.tasks import TAKE_TURN
from tests.e2e.models.answers import Api, Text, answer, scenario
from tests.e2e.models.playing import Play, Providers
from tests.service import Run, Service, eventually

CODEX: dict[str, Any] = {"kind": "codex", "model": "gpt-5-codex"}
CLAUDE: dict[str, Any] = {"kind": "claude-code", "model": "claude-sonnet-4.5"}
APIS: dict[str, Api] = {"codex": "openai", "claude-code": "anthropic", "openai": "openai", "anthropic": "anthropic"}


class Thread:
    """A conversation in one directory, a run a turn."""

    def __init__(self, service: Service, providers: Providers, root: Path) -> None:
        self._service = service
        self._providers = providers
        self._root = root
        self._id: str | None = None

    def begin(self, agent: dict[str, Any], prompt: str, *steps: Any) -> tuple[Run, Play]:
        """Start the next turn."""
        play = self._providers.play(scenario(APIS[agent["kind"]], *steps))
        body = {"agent": agent, "prompt": f"{prompt} {play.tag}", "working_dir": str(self._root)}
        answered = self._service.post(body | ({"thread_id": self._id} if self._id else {}), single=True)
        assert answered.status_code == 202, answered.text
        self._id = answered.json()["thread_id"]
        return Run(self._service, answered.json(), self._root), play

    def turn(self, agent: dict[str, Any], prompt: str, reply: str) -> str:
        """A whole turn; what the provider was asked, as text."""
        run, play = self.begin(agent, prompt, answer(APIS[agent["kind"]], "a", Text(reply)))
        run.wait("completed")
        (response,) = run.responses()
        assert [item["content"] for item in response["output_items"] if item["type"] == "message"] == [reply]
        (body,) = play.bodies
        return json.dumps(body, ensure_ascii=False)


@pytest.fixture
def thread(models: Service, providers: Providers) -> Thread:
    return Thread(models, providers, models.workspace())


@pytest.mark.parametrize("agent", [CODEX, CLAUDE], ids=["codex", "claude-code"])
def test_an_agents_own_session_goes_on_over_the_runs_of_a_thread(agent: dict[str, Any], thread: Thread):
    thread.turn(agent, "Remember the fish.", "A herring it is.")
    asked = thread.turn(agent, "Which fish?", "The herring.")
    assert asked.index("Remember the fish.") < asked.index("A herring it is.") < asked.index("Which fish?")
    assert asked.count("Remember the fish.") == asked.count("A herring it is.") == 1
    assert BEFORE not in asked


@pytest.mark.parametrize("agent", [CODEX, CLAUDE], ids=["codex", "claude-code"])
def test_what_another_agent_said_is_told_as_text(agent: dict[str, Any], thread: Thread):
    other = {"kind": "openai", "model": "gpt-5-mini"}
    thread.turn(agent, "Remember the fish.", "A herring it is.")
    asked = thread.turn(other, "Rather a bird.", "A heron then.")
    assert asked.index("A herring it is.") < asked.index("Rather a bird.")
    asked = thread.turn(agent, "Which one?", "The heron.")
    said = ("Remember the fish.", "A herring it is.", "Rather a bird.", "A heron then.", "Which one?")
    assert BEFORE in asked
    assert [asked.index(each) for each in said] == sorted(asked.index(each) for each in said)
    asked = thread.turn(agent, "Sure?", "Quite.")
    assert [asked.count(each) for each in said] == [1] * len(said)


@pytest.mark.parametrize("agent", [CODEX, CLAUDE], ids=["codex", "claude-code"])
def test_a_session_that_is_gone_is_replaced_by_one_that_is_told_the_conversation(
    agent: dict[str, Any], thread: Thread, home: Path
):
    thread.turn(agent, "Remember the fish.", "A herring it is.")
    shutil.rmtree(home / (".codex/sessions" if agent is CODEX else ".claude/projects"))
    asked = thread.turn(agent, "Which fish?", "The herring.")
    assert BEFORE in asked
    assert asked.index("Remember the fish.") < asked.index("A herring it is.") < asked.index("Which fish?")
    asked = thread.turn(agent, "Sure?", "Quite.")
    assert asked.count("Remember the fish.") == asked.count(BEFORE) == 1


@pytest.mark.parametrize("agent", [CODEX, CLAUDE], ids=["codex", "claude-code"])
def test_a_turn_that_was_cancelled_is_part_of_the_session(agent: dict[str, Any], thread: Thread):
    chunks = answer(APIS[agent["kind"]], "a", Text("A herring it is. " * 20))
    run, play = thread.begin(agent, "Remember the fish.", [*chunks[: len(chunks) // 2], {"hold": True}])
    run.event("item_delta")
    run.cancel()
    assert play.bodies
    asked = thread.turn(agent, "Which fish?", "The herring.")
    assert asked.count("Remember the fish.") == 1
    assert BEFORE not in asked


async def _remembered(service: Service, run: Run) -> bool:
    """Whether Temporal knows what the agent of the turn under way wants to be remembered."""
    client = await Client.connect(service.temporal_address)
    description = await client.get_workflow_handle(run.id).describe()
    pending = description.raw_description.pending_activities
    return any(each.activity_type.name == TAKE_TURN and each.heartbeat_details.payloads for each in pending)


def session_of(agent: dict[str, Any], body: dict[str, Any]) -> str:
    """The agent's own session that a request belongs to."""
    return body["prompt_cache_key"] if agent is CODEX else body["metadata"]["user_id"]


@pytest.mark.parametrize("agent", [CODEX, CLAUDE], ids=["codex", "claude-code"])
def test_a_session_survives_the_worker_that_is_lost(agent: dict[str, Any], thread: Thread, models: Service):
    chunks = answer(APIS[agent["kind"]], "a", Text("A herring it is. " * 20))
    held = {"chunks": [*chunks[: len(chunks) // 2], {"hold": True}]}
    whole = {"chunks": answer(APIS[agent["kind"]], "b", Text("A herring."))}
    run, play = thread.begin(agent, "Remember the fish.", held, whole)
    run.event("item_delta")
    eventually(lambda: asyncio.run(_remembered(models, run)), what="a heartbeat with the session")
    models.part("worker").kill()
    assert run.wait("completed")["attempt"] == 2
    (response,) = run.responses()
    assert [item["content"] for item in response["output_items"] if item["type"] == "message"] == ["A herring."]
    first, second = play.bodies
    assert session_of(agent, first) == session_of(agent, second)
