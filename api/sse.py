"""The stream's route: what a client may ask for, and every answer that is none."""

from typing import Annotated, Any, Literal

from litestar import Response, get
from litestar.openapi import ResponseSpec
from litestar.params import Parameter

from api.event_stream import EVENT_STREAM, EventStream
from api.handover import HandedOver
from api.problems import ProblemError, documented, invalid, problem
from api.runs import require
from api.standing import UNKNOWN, Wish, find_place_soon
from api.state import Door
from cody.contract import errors as e
from cody.contract.cursor import START, Cursor
from cody.contract.events import PAYLOADS, TERMINAL
from cody.metrics import STREAM_RESETS, STREAMS_WAITED
from cody.stream.chunk import Types


@get(
    "/api/runs/{run_id:str}/stream",
    media_type=EVENT_STREAM,
    responses={
        204: ResponseSpec(None, description="The run has ended, and the cursor is its end", generate_examples=False),
        **documented(400, 404, 409, 410, 503, conflict=e.CursorProblem),
    },
    summary="A run's events, as they happen, from any cursor",
)
async def stream(
    run_id: str,
    door: Door,
    last_event_id: Annotated[str | None, Parameter(header="Last-Event-ID", description="Wins over `from`.")] = None,
    from_: Annotated[
        str | None, Parameter(query="from", description="Start after this entry: `SEQ-EPOCH`, `SEQ`, or `latest`.")
    ] = None,
    types: Annotated[
        str | None, Parameter(description="Event types, comma-separated; terminal ones always pass.")
    ] = None,
    heal: Annotated[
        Literal["frame"] | None,
        Parameter(description="`frame`: tell a cursor that cannot be resumed as a first frame `stream_reset`."),
    ] = None,
) -> Response[Any]:
    """Server-sent events after `Last-Event-ID` (or `from`), without loss and in order."""
    place = _place("Last-Event-ID", last_event_id) if last_event_id else _place("from", from_)
    wish = Wish(run_id, place, _types(types), heal == "frame")
    await require(run_id, door)
    try:
        after, over = await find_place_soon(wish, door)
    except ProblemError as error:
        body = error.problem
        if not wish.heal or not isinstance(body, e.CursorProblem):
            raise
        reset = b"event: stream_reset\ndata: %s\n\n" % body.model_dump_json().encode()
        STREAM_RESETS.inc()
        earliest = Cursor.parse(body.earliest_cursor).seq - 1 if body.earliest_cursor else 0
        return HandedOver(EventStream(wish, door, earliest, reset))
    except UNKNOWN:
        STREAMS_WAITED.inc()
        return HandedOver(EventStream(wish, door, None))
    return Response(None, status_code=204) if over else HandedOver(EventStream(wish, door, after))


def _place(field: str, text: str | None) -> Cursor | Literal["latest"]:
    if text is None or text == "":
        return START
    if text == "latest":
        return "latest"
    try:
        return Cursor.parse(text)
    except ValueError as error:
        fault = e.FieldError(field=field, message=str(error))
        raise problem(400, e.INVALID_CURSOR, f"{field}: {error}", (fault,)) from error


def _types(text: str | None) -> Types:
    if text is None:
        return None
    wanted = frozenset(part.strip() for part in text.split(",") if part.strip())
    if unknown := sorted(wanted - set(PAYLOADS)):
        raise invalid("types", f"there is no event type {', '.join(unknown)[:200]}")
    return wanted | TERMINAL
