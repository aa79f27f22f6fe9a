"""The response: the document that a turn's events reduce to."""

from typing import Literal

from cody.contract.base import Maybe, Millis, Model
from cody.contract.errors import ErrorInfo
from cody.contract.items import Item
from cody.contract.usage import Usage

ResponseStatus = Literal["queued", "in_progress", "complete", "error", "aborted"]


class Response(Model):
    """One turn's response; all attempts of a turn share its `id`, and the newest attempt's events make it up."""

    id: str
    run_id: str
    turn: int
    attempt: int
    turn_id: str
    thread_id: str
    agent_id: Maybe[str] = None
    model_id: str
    provider_id: str
    created_at: Millis
    updated_at: Millis
    status: ResponseStatus
    output_items: tuple[Item, ...] = ()
    usage: Maybe[Usage] = None
    finish_reason: str | None = None
    error: Maybe[ErrorInfo] = None
    cursor: str | None = None


class ResponseList(Model):
    """Responses of a run, in turn order."""

    responses: tuple[Response, ...]


class Thread(Model):
    """The conversation that the responses of one or more runs belong to, in order."""

    thread_id: str
    responses: tuple[Response, ...]
