"""What must be true of a run that was followed to its end: pure comparisons of what `cody verify` gathered."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cody.cli.sse import Frame
from cody.contract.cursor import Cursor
from cody.contract.events import TERMINAL
from cody.contract.responses import Response
from cody.contract.runs import Snapshot
from cody.fold import PoisonEvent, RunFolder


@dataclass(frozen=True)
class Evidence:
    """What a service said of one run."""

    frames: Sequence[Frame]
    """The whole stream."""
    resumed: Sequence[Frame]
    """The stream again, after the entry in the middle of `frames`."""
    after_the_end: Sequence[Frame]
    """The stream again, after its last entry."""
    snapshot: Snapshot
    stored: Sequence[Response]
    prompt_arrived: bool


@dataclass(frozen=True)
class Check:
    """One thing that must be true; `differs` says what is not as it should be."""

    name: str
    differs: str | None


def compare(evidence: Evidence) -> Iterator[Check]:
    """Every check, in the order in which a person would look."""
    frames = evidence.frames
    yield Check("entries are dense from 1, in order", _gaps(frames))
    yield Check("exactly one terminal event, at the end", _endings(frames))
    rest = frames[len(frames) // 2 + 1 :]
    again = None if list(evidence.resumed) == list(rest) else f"{len(evidence.resumed)} entries, not {len(rest)}"
    yield Check("a resumed stream goes on exactly where it was left", again)
    more = f"{len(evidence.after_the_end)} entries" if evidence.after_the_end else None
    yield Check("nothing follows the end", more)
    folder = RunFolder()
    try:
        for frame in frames:
            folder.feed(Cursor.parse(frame.cursor), frame.type, frame.data)
    except PoisonEvent as error:
        yield Check("every entry is the event that its type says", str(error))
    else:
        yield from _documents(folder, evidence)
    yield Check("the agent got its prompt", None if evidence.prompt_arrived else "its file is not there")


def _documents(folder: RunFolder, evidence: Evidence) -> Iterator[Check]:
    snapshot, stored = evidence.snapshot, evidence.stored
    unfinished = [f"{response.id} is {response.status}" for response in stored if response.status != "complete"]
    yield Check("every response is complete", "; ".join(unfinished) or (None if stored else "there is none"))
    yield Check("hydrated equals persisted", _documents_differ(list(folder.responses.values()), stored))
    status = None if snapshot.status == folder.status else f"{snapshot.status} is stored, {folder.status} was streamed"
    yield Check("the run's status is the streamed one", status)
    counted = folder.tokens.total_tokens
    tokens = (
        None if snapshot.stats.tokens == counted else f"{snapshot.stats.tokens} are stored, {counted} were streamed"
    )
    yield Check("the run's tokens are the streamed ones", tokens)


def _gaps(frames: Sequence[Frame]) -> str | None:
    seqs = [Cursor.parse(frame.cursor).seq for frame in frames]
    wrong = next((f"{seq} stands at place {place}" for place, seq in enumerate(seqs, start=1) if seq != place), None)
    return wrong or (None if seqs else "the stream is empty")


def _endings(frames: Sequence[Frame]) -> str | None:
    ends = [place for place, frame in enumerate(frames, start=1) if frame.type in TERMINAL]
    return None if ends == [len(frames)] else f"terminal events at {ends} of {len(frames)}"


def _documents_differ(hydrated: Sequence[Response], stored: Sequence[Response]) -> str | None:
    if len(hydrated) != len(stored):
        return f"{len(stored)} responses are stored, {len(hydrated)} were streamed"
    lines = [
        f"{mine.id}.{name}: {getattr(theirs, name)!r} is stored, {getattr(mine, name)!r} was streamed"
        for mine, theirs in zip(hydrated, stored, strict=True)
        for name in Response.model_fields
        if getattr(mine, name) != getattr(theirs, name)
    ]
    return "; ".join(lines) or None
