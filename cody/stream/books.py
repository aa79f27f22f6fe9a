"""What the books of a log say after entries that were appended before: for a log that is put together again."""

from collections.abc import Iterable
from dataclasses import replace

from cody.contract.cursor import turn_and_attempt
from cody.contract.events import ATTEMPT_ENDS, TERMINAL
from cody.stream.entry import Entry
from cody.stream.log import Fence

_ID = len(b'{"event_id":"')


def place_of(event: bytes) -> tuple[int, int]:
    """The epoch of the event's writer (0: the run itself) and its number there, as the event's id tells."""
    _, turn, attempt, number = event[_ID : event.index(b'"', _ID)].rsplit(b":", 3)
    return int(turn) * 1000 + int(attempt), int(number)


def books_after(books: Fence, entries: Iterable[Entry]) -> Fence:
    """The books once these entries, which follow on them, are in the log."""
    for entry in entries:
        books = replace(books, seq=entry.seq, epoch=max(books.epoch, entry.epoch))
        if entry.type == "log_gap":
            continue  # it has a number of its own: see `cody.archive.mend`
        writer, number = place_of(entry.event)
        books = replace(books, number=number) if writer else replace(books, lifecycle=number)
        if entry.type in TERMINAL:
            books = replace(books, terminal=1)
        if writer and entry.type in ATTEMPT_ENDS:
            books = replace(books, ended=writer)
        if entry.type == "turn_completed":
            books = replace(books, done=turn_and_attempt(writer)[0])
    return books
