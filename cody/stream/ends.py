"""What others than a live attempt write: the run's own events, and the end of an attempt whose worker is gone."""

from collections.abc import Callable, Sequence

from cody.contract.base import Millis
from cody.contract.cursor import turn_and_attempt
from cody.contract.events import Speaker, TraceContext, encode
from cody.contract.payloads import Payload
from cody.stream.log import Log

Said = tuple[str, Millis, Payload]
"""An event before it has a number: type, timestamp, payload."""


class AttemptOpen(Exception):
    """The run's end cannot be written yet: the newest attempt has begun and has no end."""


async def append_lifecycle(log: Log, run: Speaker, first: int, events: Sequence[Said]) -> None:
    """Append the run's own events, numbered from `first` by the workflow; events that are there already are skipped.

    Raises AttemptOpen if the run's end is among them and has to wait, and RuntimeError if the log refuses them
    otherwise, which only a run that already ended does.
    """
    encoded = [(type_, encode(run, first + n, type_, at, payload)) for n, (type_, at, payload) in enumerate(events)]
    done = await log.append(run.run_id, 0, first, encoded)
    if done.outcome == "open":
        raise AttemptOpen(run.run_id)
    if done.outcome != "ok":
        raise RuntimeError(f"the log of {run.run_id} refused {[type_ for type_, _ in encoded]}: {done.outcome}")


async def append_next(log: Log, run: Speaker, said: Said) -> None:
    """Append one of the run's own events when the workflow that kept count is gone; nothing after the run's end.

    Raises AttemptOpen if it is the run's end and has to wait.
    """
    while True:
        fence = await log.fence(run.run_id)
        if fence.terminal:
            return
        event = encode(run, fence.lifecycle + 1, *said)
        done = await log.append(run.run_id, 0, fence.lifecycle + 1, [(said[0], event)])
        if done.outcome == "open":
            raise AttemptOpen(run.run_id)
        if done.count or done.outcome == "terminal":
            return


async def end_attempt(
    log: Log, run_id: str, trace: TraceContext, turn: int | None, said: Callable[[int, int], Sequence[Said]]
) -> tuple[int, int]:
    """End the newest attempt of `turn` (None: of whichever turn is newest) in its own name, if it started and has no
    end yet; `said(turn, attempt)` gives the events. A zombie that writes at the same time only makes this try again.

    Returns the (turn, attempt) that is newest in the log, (0, 0) if none ever wrote.
    """
    while True:
        fence = await log.fence(run_id)
        newest, attempt = turn_and_attempt(fence.epoch)
        if turn not in (None, newest) or fence.ended == fence.epoch or fence.terminal:
            return newest, attempt
        speaker = Speaker(run_id=run_id, turn=newest, attempt=attempt, trace_context=trace)
        numbered = enumerate(said(newest, attempt), fence.number + 1)
        events = [(type_, encode(speaker, number, type_, at, payload)) for number, (type_, at, payload) in numbered]
        # Whole, as what a zombie appends under our first number must not pass for our first words.
        done = await log.append(run_id, fence.epoch, fence.number + 1, events, whole=True)
        if done.outcome == "ok":
            return newest, attempt


async def finish_attempt(log: Log, attempt: Speaker, words: Sequence[Said]) -> bool:
    """Say the last words of an attempt that did its turn for it, unless it has said them itself; False if it was ended
    as lost, or a newer one, or the end of the run, has been written since.
    """
    while True:
        fence = await log.fence(attempt.run_id)
        if fence.epoch == attempt.epoch == fence.ended:
            return fence.done == attempt.turn
        if fence.epoch != attempt.epoch or fence.terminal:
            return False
        events = [
            (type_, encode(attempt, number, type_, at, payload))
            for number, (type_, at, payload) in enumerate(words, fence.number + 1)
        ]
        await log.append(attempt.run_id, attempt.epoch, fence.number + 1, events, whole=True)
