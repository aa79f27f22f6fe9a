"""The model that everything in the contract derives from, its optional field, and the id types."""

from typing import Annotated, NewType, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

RunId = NewType("RunId", str)
ThreadId = NewType("ThreadId", str)
TurnId = NewType("TurnId", str)
ResponseId = NewType("ResponseId", str)

ID_PATTERN = r"^[A-Za-z0-9_-]{1,128}$"
"""Every id of the contract; never narrower, so that a provider's or a client's own ids fit."""

Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
Millis = int
"""Unix time in milliseconds."""

T = TypeVar("T")


def _is_none(value: object) -> bool:
    return value is None


Maybe = Annotated[T | None, Field(exclude_if=_is_none)]
"""A field that the contract writes with `?`: left out of the JSON when there is nothing to say."""


class Model(BaseModel):
    """Frozen; unknown fields are ignored on reading, so that an older reader understands a newer writer."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class RequestModel(BaseModel):
    """What a client sends: strict types, and an unknown field is an error, so that a typing mistake is never silent."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def turn_id_of(run_id: str, turn: int) -> TurnId:
    """The id of a run's turn: the same in every attempt, without a registry."""
    return TurnId(f"turn_{_suffix(run_id)}_{turn}")


def response_id_of(run_id: str, turn: int) -> ResponseId:
    """The id of the one response that all attempts of a turn share."""
    return ResponseId(f"resp_{_suffix(run_id)}_{turn}")


def _suffix(run_id: str) -> str:
    return run_id.removeprefix("run_")
