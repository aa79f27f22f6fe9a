"""A run's stream, followed live and read again from the beginning: its SEQs, and what its events reduce to."""

from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

from cody.cli.sse import Frame, FrameParser
from cody.contract.cursor import Cursor
from cody.contract.events import TERMINAL
from cody.contract.responses import Response
from cody.fold import RunFolder
from tests.scale.account import Account
from tests.scale.crowd import Seen, crowd
from tests.scale.meter import Meter
from tests.service import Run

_SECONDS = 600.0


@dataclass
class Whole:
    """What a stream held."""

    types: Counter[str] = field(default_factory=Counter[str])
    entries: int = 0
    fault: str | None = None
    """The first thing that is wrong with its order."""
    folder: RunFolder = field(default_factory=RunFolder)

    @property
    def responses(self) -> list[Response]:
        """The hydrated documents."""
        return list(self.folder.responses.values())


def follow(run: Run, seconds: float) -> Seen:
    """What a client sees that follows the run to its end, which is to be good."""
    with crowd(run.service.api_port, [f"{run.path}/stream"], 1) as live:
        (seen,) = live.wait(seconds)
    run.wait("completed")
    return seen


def read_whole(run: Run) -> Whole:
    """Read the stream from the beginning to its end, and fold it as a client does."""
    seen = Whole()
    last = ""
    for frame in _frames(run):
        cursor = Cursor.parse(frame.cursor)
        if seen.fault is None and cursor.seq != seen.entries + 1:
            seen.fault = f"{cursor} follows {seen.entries} entries"
        if seen.fault is None and last in TERMINAL:
            seen.fault = f"{cursor} follows {last}"
        seen.entries += 1
        last = frame.type
        seen.types[last] += 1
        seen.folder.feed(cursor, last, frame.data)
    if seen.fault is None and last not in TERMINAL:
        seen.fault = f"the stream ends with {last or 'nothing'}"
    return seen


def check_whole(run: Run, account: Account) -> Whole:
    """The stream is dense, ends once, and hydrates to what is persisted, as the snapshot says. Gives what was read."""
    seen = read_whole(run)
    account.hold("the stream", seen.fault)
    stored = run.service.http.get(f"{run.path}/responses", timeout=_SECONDS).raise_for_status().json()["responses"]
    account.hold("hydrated and persisted", _differ(seen.responses, [Response.model_validate(each) for each in stored]))
    snapshot = run.snapshot()
    account.equal("the status", snapshot["status"], seen.folder.status)
    account.equal("the tokens", snapshot["stats"]["tokens"], seen.folder.tokens.total_tokens)
    return seen


def check_again(run: Run, followed: Seen, account: Account, api_mb: float) -> Whole:
    """`check_whole`, whose entries are those that were followed live, and for which the API needs no more than that."""
    with Meter(run.service) as meter:
        seen = check_whole(run, account)
    grown = meter.grown_mb["api"]
    account.tell(events=seen.entries, read_again_seconds=round(meter.seconds, 1), api_mb_of_reading_again=round(grown))
    account.hold("the live stream", followed.fault)
    account.equal("entries that were followed live", followed.entries, seen.entries)
    account.bound("api grew while it was read", grown, api_mb, "MB")
    return seen


def _differ(hydrated: Sequence[Response], stored: Sequence[Response]) -> str | None:
    if len(hydrated) != len(stored):
        return f"{len(stored)} responses are stored, {len(hydrated)} were streamed"
    unlike = ((mine, theirs) for mine, theirs in zip(hydrated, stored, strict=True) if mine != theirs)
    return next((f"{mine.id}: {theirs} is stored, {mine} was streamed" for mine, theirs in unlike), None)


def _frames(run: Run) -> Generator[Frame]:
    parser = FrameParser()
    with run.service.http.stream("GET", f"{run.path}/stream", timeout=_SECONDS) as answer:
        answer.raise_for_status()
        for chunk in answer.iter_bytes():
            yield from parser.feed(chunk)
