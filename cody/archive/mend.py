"""What to append to a log that has lost its end, so that it has everything again, or says what is gone. Pure."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from cody.contract.cursor import turn_and_attempt
from cody.contract.errors import WORKER_LOST, ErrorInfo
from cody.contract.events import PAYLOADS, TERMINAL, Speaker, TraceContext, encode
from cody.contract.payloads import LogGap, Payload, TurnFailed
from cody.contract.tasks import KeptReport
from cody.store import Known, Word
from cody.stream.books import books_after
from cody.stream.entry import Entry
from cody.stream.log import Fence
from cody.stream.mending import Salvage

_GAP_NUMBER = 10**12
"""A `log_gap` is the run's own word but none that its workflow numbered: it is numbered by its SEQ above this."""
UNNUMBERED = 2**53
"""Number under which the store keeps the end of a run whose workflow, which kept count, was gone."""


@dataclass(frozen=True)
class Mend:
    """Entries to append, each with what the books say after it.

    `unsure`: an attempt that was under way has brought nothing, so it may have said more. `lossy`: something is gone
    for good, if nobody brings it.
    """

    steps: Sequence[tuple[Fence, Entry]]
    books: Fence
    unsure: bool
    lossy: bool


def mend(run_id: str, books: Fence, salvage: Salvage, known: Known) -> Mend:
    """How to bring a log from `books` on to all that was ever said.

    SEQs below the newest that anybody brought, that the documents have, or that a reader has seen, were handed out: a
    `log_gap` stands for those that nobody brought. If there are such at the end, or Redis has kept nothing, then an
    attempt whose writer is gone may have come as far as the store has reserved SEQs.
    """
    work = _Work(run_id, replace(books, sealed=max(books.sealed, known.sealed)), known)
    found = {**work.kept_entries(), **salvage.entries}
    for seq in sorted(found):
        if seq > work.books.seq:
            work.fill(seq - 1)
            work.add(found[seq])
    work.catch_up()
    lost = work.lost_writers(salvage.told)
    # Where no attempt can have written, only the run's own words are missing: they come back at their old places.
    reach = work.books.seq + (0 if lost else len(work.words))
    short = reach < max(known.row["cursor_seq"], min(salvage.seen, known.reserved))
    if short or (lost and salvage.emptied):
        work.leave_gap(lost, salvage.told)
    work.say_words()
    return Mend(work.steps, work.books, bool(lost), work.lossy)


class _Work:
    """The books as they grow."""

    def __init__(self, run_id: str, books: Fence, known: Known) -> None:
        self.books = books
        self.steps: list[tuple[Fence, Entry]] = []
        self.lossy = False
        self._run_id = run_id
        self._known = known
        self._kept = None if known.report is None else KeptReport.model_validate_json(known.report)
        self._trace = TraceContext.model_validate_json(known.row["trace_context"])

    def kept_entries(self) -> Mapping[int, Entry]:
        """By SEQ: how the response of a turn that was done began, as the newest attempt has kept it."""
        kept = self._kept.opening if self._kept else ()
        return {one.seq: Entry(one.seq, self._known.claimed[0], one.type, one.event.encode()) for one in kept}

    def lost_writers(self, told: Collection[int]) -> list[int]:
        """Epochs of attempts that may have said more than is known, and whose writers brought nothing."""
        books = self.books
        may_write = {epoch for epoch in self._known.claimed if epoch > max(books.epoch, books.sealed)}
        if books.epoch > books.ended:
            may_write.add(books.epoch)
        return [] if books.terminal else sorted(may_write.difference(told))

    def add(self, entry: Entry) -> None:
        self.books = books_after(self.books, (entry,))
        self.steps.append((self.books, entry))

    def fill(self, to: int, *, own_seq: bool = False) -> None:
        """A `log_gap` for what is missing up to `to`; it takes the last SEQ of them, or one of its own after them."""
        first = self.books.seq + 1
        if first > to:
            return
        self.lossy = True
        seq = to + 1 if own_seq else to
        # Whoever wrote what is lost: no number of theirs is given again.
        self.books = replace(self.books, number=self.books.number + to - first + 1)
        speaker = Speaker(run_id=self._run_id, trace_context=self._trace)
        payload = LogGap.model_validate({"from": first, "to": to})
        event = encode(speaker, _GAP_NUMBER + seq, "log_gap", self._known.row["updated_at"], payload)
        self.add(Entry(seq, self.books.epoch, "log_gap", event))

    def catch_up(self) -> None:
        """What the documents know of the newest attempt, though its entries be lost."""
        known = self._known
        if known.folded >= self.books.epoch and known.row["cursor_seq"] > self.books.seq:
            ended = known.folded if known.ended else self.books.ended
            done = turn_and_attempt(known.folded)[0] if known.ended == "turn_completed" else self.books.done
            number = self.books.number if known.folded == self.books.epoch else 0
            self.books = replace(self.books, epoch=known.folded, ended=ended, done=done, number=number)

    def leave_gap(self, lost: Sequence[int], told: Collection[int]) -> None:
        """Go on above all that can have been written, and without those attempts whose writers are gone."""
        if lost:
            newest = lost[-1]
            number = self.books.number if newest == self.books.epoch else 0
            self.books = replace(self.books, epoch=newest, number=number, sealed=max(self.books.sealed, newest))
        self.fill(max(self._known.reserved, self._known.row["cursor_seq"]), own_seq=True)
        if lost and not any(epoch > lost[-1] for epoch in told):
            turn, attempt = turn_and_attempt(lost[-1])
            speaker = Speaker(run_id=self._run_id, turn=turn, attempt=attempt, trace_context=self._trace)
            for type_, at, payload in self._last_words(lost[-1]):
                self._say(speaker, self.books.number + 1, type_, at, payload)

    def _last_words(self, epoch: int) -> Iterator[tuple[str, int, Payload]]:
        """Of the attempt whose writer is gone: what it kept for this, or that it was lost."""
        if self._kept is not None and epoch == self._known.claimed[0]:
            for said in self._kept.words:
                yield said.type, said.at, PAYLOADS[said.type].model_validate(said.payload)
            return
        message = "the log of this attempt was lost together with its worker"
        error = ErrorInfo(code=WORKER_LOST, message=message, retryable=True)
        yield "turn_failed", self._known.row["updated_at"], TurnFailed(error=error, will_retry=True)

    @property
    def words(self) -> list[Word]:
        """What the run itself said and the log does not have; its end only once the newest attempt has one."""
        books = self.books
        return (
            []
            if books.terminal
            else [
                word
                for word in self._known.words
                if word.number > books.lifecycle and not (word.type in TERMINAL and books.epoch > books.ended)
            ]
        )

    def say_words(self) -> None:
        """Say them again."""
        speaker = Speaker(run_id=self._run_id, trace_context=self._trace)
        for word in self.words:
            number = self.books.lifecycle + 1 if word.number == UNNUMBERED else word.number
            self._say(speaker, number, word.type, word.at, PAYLOADS[word.type].model_validate(word.payload))

    def _say(self, speaker: Speaker, number: int, type_: str, at: int, payload: Payload) -> None:
        event = encode(speaker, number, type_, at, payload)
        self.add(Entry(self.books.seq + 1, self.books.epoch, type_, event))


def books_of_archive(known: Known, newest_first: Iterator[Entry]) -> Fence:
    """The books at the end of the archive, by its entries from the last one back to the last of an attempt."""
    for entry in newest_first:
        if entry.type == "log_gap":
            continue
        books = books_after(Fence(), (entry,))
        if books.number:
            return replace(books, seq=known.archived, lifecycle=known.archived_words, terminal=int(known.whole))
    return Fence(seq=known.archived, lifecycle=known.archived_words, terminal=int(known.whole))
