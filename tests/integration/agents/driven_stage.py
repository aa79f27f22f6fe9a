"""Turns of a real coding agent, through its driver, against a provider that says what a test tells it to."""

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

from cody.agents.base import Job, Patience, Result, Stop
from cody.agents.connections import Connection
from cody.agents.driven import DrivenAgent
from cody.agents.environment import agent_environment
from cody.agents.keepers import Keepers
from cody.agents.sweep import worker_marker
from fixtures.providers import wire
from fixtures.providers.scenario import Scenario
from fixtures.providers.server import ProviderServer
from fixtures.providers.session import Session
from tests.integration.agents.agents_stage import Heard

KEY = "sk-test-key"
HOLD = {"hold": True}
"""A chunk: nothing more is sent until the test says so."""


def event(type_: str, **data: Any) -> str:
    """An event as the API sends it."""
    return wire.event(type_, data)


class DrivenHeard(Heard):
    """A sink that knows what it was asked to remember, and what became of the items."""

    def __init__(self) -> None:
        super().__init__()
        self.remembered: dict[str, Any] = {}

    def remember(self, carry: Mapping[str, Any]) -> None:
        self.remembered = dict(carry)

    def items(self, type_: str | None = None) -> list[dict[str, Any]]:
        """The finished items, of all types unless told."""
        found = [payload.final_item.model_dump(exclude_none=True) for payload in self.of("item_done")]
        return [item for item in found if type_ in {None, item["type"]}]

    def contents(self) -> list[str]:
        """What the finished messages say."""
        return [item["content"] for item in self.items("message")]

    def outputs(self) -> dict[str, tuple[str, bool]]:
        """What each call was answered, and whether it went well."""
        return {item["call_id"]: (item["output"], item["success"]) for item in self.items("function_call_output")}

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

    heard: DrivenHeard
    session: Session
    stop: Stop
    result: Result | None = None

    @property
    def ended(self) -> Result:
        assert self.result is not None
        return self.result


@dataclass
class DrivenStage(ABC):
    """Runs turns in a directory of its own, with a home of its own; a kind of agent says what is special about it."""

    provider: ClassVar[str]
    model: ClassVar[str]

    server: ProviderServer
    keepers: Keepers
    root: Path
    home: Path
    run_id: str = field(default_factory=lambda: f"run_{uuid4().hex}")

    @abstractmethod
    def agent(self) -> DrivenAgent:
        """Who does the turns."""

    @abstractmethod
    def spec(self, **settings: Any) -> Any:
        """The agent of the run's request."""

    @abstractmethod
    def base_url(self, session: Session) -> str:
        """Where the provider plays this session."""

    def environment(self) -> dict[str, str]:
        """The run's variables."""
        return {"HOME": str(self.home)}

    def play(self, *steps: Any) -> Turn:
        """A turn that has not begun, and the provider's words for it."""
        scenario = {
            "provider": self.provider,
            "model": self.model,
            "prompt": "hello",
            "steps": steps,
            "expected_response": {},
        }
        return Turn(DrivenHeard(), self.server.play(Scenario.model_validate(scenario)), Stop())

    async def run(self, *steps: Any, **changes: Any) -> Turn:
        """A whole turn."""
        return await self.take(self.play(*steps), **changes)

    async def take(self, turn: Turn, /, **changes: Any) -> Turn:
        """Do the turn; `settings` are the agent's, `env` the run's, the rest changes the job."""
        settings = {"model": self.model, **changes.pop("settings", {})}
        run_env = self.environment() | changes.pop("env", {})
        attempt = changes.get("attempt", 1)
        fields: dict[str, Any] = {
            "run_id": self.run_id,
            "turn": 1,
            "attempt": attempt,
            "turn_id": "turn_1",
            "response_id": "resp_1",
            "thread_id": "thread_1",
            "agent": self.spec(**settings),
            "prompt": "hello",
            "working_dir": self.root,
            "env": agent_environment(
                os.environ, run_env, run_id=self.run_id, turn=1, attempt=attempt, worker=worker_marker()
            ),
            "stop": turn.stop,
            "kill_grace_seconds": 5.0,
            "connection": Connection(self.base_url(turn.session), KEY),
            "patience": Patience(),
        }
        turn.result = await self.agent().run(Job(**(fields | changes)), turn.heard)
        return turn
