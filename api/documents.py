"""Routes of what a run left: responses, threads, prompts and output."""

from typing import Annotated

from litestar import Response, get
from litestar.params import Parameter
from litestar.response import Stream

from api.problems import documented, problem
from api.runs import require
from api.state import Door
from cody.contract import errors as e
from cody.contract.cursor import MAX_ATTEMPT
from cody.contract.responses import Response as Document
from cody.contract.responses import ResponseList, Thread

TEXT = "text/plain"
Attempt = Annotated[int | None, Parameter(ge=1, le=MAX_ATTEMPT)]


@get(
    "/api/runs/{run_id:str}/responses", responses=documented(400, 404, 503), summary="A run's responses, in turn order"
)
async def run_responses(run_id: str, door: Door) -> ResponseList:
    """The documents as far as they are projected."""
    await require(run_id, door)
    return ResponseList(responses=tuple(await door.store.responses.of_run(run_id)))


@get("/api/responses/{response_id:str}", responses=documented(400, 404, 503), summary="One response")
async def one_response(response_id: str, door: Door) -> Document:
    """A turn's document."""
    document = await door.store.responses.get(response_id)
    if document is None:
        raise problem(404, e.RESPONSE_NOT_FOUND, f"there is no response {response_id[:128]!r}")
    return document


@get("/api/threads/{thread_id:str}", responses=documented(400, 404, 503), summary="A conversation")
async def thread(thread_id: str, door: Door) -> Thread:
    """The responses of all runs of a thread, in order."""
    documents = await door.store.threads.responses(thread_id)
    if not documents and not await door.store.runs.has_thread(thread_id):
        raise problem(404, e.THREAD_NOT_FOUND, f"there is no thread {thread_id[:128]!r}")
    return Thread(thread_id=thread_id, responses=tuple(documents))


@get(
    "/api/runs/{run_id:str}/turns/{turn:int}/prompt", media_type=TEXT, responses=documented(400, 404, 503),
    summary="The prompt that an attempt got",
)  # fmt: skip
async def prompt(run_id: str, turn: int, door: Door, attempt: Attempt = None) -> Response[str]:
    """As text; of the newest attempt unless told."""
    await require(run_id, door)
    text = await door.store.turns.prompt(run_id, _small(turn), attempt)
    if text is None:
        raise _no_turn(run_id, turn, attempt)
    return Response(text, media_type=TEXT)


@get(
    "/api/runs/{run_id:str}/turns/{turn:int}/output", media_type=TEXT, responses=documented(400, 404, 503),
    summary="An attempt's whole output",
)  # fmt: skip
async def output(run_id: str, turn: int, door: Door, attempt: Attempt = None) -> Stream:
    """Both streams as they came, of the newest attempt unless told; up to a second old while the attempt runs."""
    await require(run_id, door)
    newest = await door.store.turns.newest_attempt(run_id, _small(turn))
    if newest is None or (attempt or newest) > newest:
        raise _no_turn(run_id, turn, attempt)
    return Stream(door.store.turns.output(run_id, turn, attempt or newest), media_type=TEXT)


def _small(turn: int) -> int:
    """A turn that a column can hold; no run has more."""
    return turn if 0 <= turn < 2**31 else 0


def _no_turn(run_id: str, turn: int, attempt: int | None) -> Exception:
    of = f" attempt {attempt}" if attempt else ""
    return problem(404, e.TURN_NOT_FOUND, f"run {run_id} has not begun turn {turn}{of}")
