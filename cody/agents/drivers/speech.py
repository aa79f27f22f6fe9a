"""What a driver and the worker say to each other: one JSON object a line.

From the worker: an `Order`. From the driver, each line one of `begin`, `say`, `keep`, `remember` and `end`.
"""

from typing import Any

from pydantic import Field

from cody.agents.base import OutputLimits
from cody.contract.base import Maybe, Model
from cody.contract.errors import ErrorInfo
from cody.contract.usage import Usage


class Order(Model):
    """The turn that a driver is to do. `agent` is the run's agent as the contract has it, `carry` what was left."""

    agent: dict[str, Any]
    prompt: str
    conversation: str = ""
    """What stands before the prompt in a session that begins: what was said in the thread before."""
    attempt: int
    response_id: str
    carry: dict[str, Any] = Field(default_factory=dict[str, Any])
    base_url: str | None = None
    api_key: str | None = None
    answer_seconds: float
    silence_seconds: float
    max_output_bytes: int
    max_output_events_per_second: int

    @property
    def first_prompt(self) -> str:
        """The prompt of a session that begins with it."""
        return self.conversation + self.prompt

    @property
    def limits(self) -> OutputLimits:
        """How much `subprocess_output` the turn may say."""
        return OutputLimits(self.max_output_bytes, self.max_output_events_per_second)


class Begin(Model):
    """The agent is up, and works with this model."""

    model: str | None = None


class Say(Model):
    """An event: its type and its payload as JSON."""

    type: str
    payload: dict[str, Any]


class End(Model):
    """How the turn ended: the driver's last line. `interrupted`: it was asked to stop, and did."""

    error: Maybe[ErrorInfo] = None
    interrupted: bool = False
    finish_reason: str = "stop"
    usage: Maybe[Usage] = None
    carry: dict[str, Any] = Field(default_factory=dict[str, Any])


class Line(Model):
    """One line of a driver: exactly one of these."""

    begin: Maybe[Begin] = None
    say: Maybe[Say] = None
    keep: Maybe[str] = None
    """Text for the turn's kept output."""
    remember: Maybe[dict[str, Any]] = None
    """What the next attempt is to get as `carry` if this one is lost."""
    end: Maybe[End] = None
