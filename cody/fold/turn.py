"""One turn's response: idempotence by cursor, attempts, token counts, the attempt's end."""

from cody.contract import payloads as p
from cody.contract.cursor import START, Cursor
from cody.contract.errors import STREAM_SEQUENCE
from cody.contract.events import Event, beginning
from cody.contract.responses import Response
from cody.fold.draft import Draft, SequenceError
from cody.fold.reading import FOLDED, Delta, Said, read
from cody.fold.state import AttemptEnd, Changes, Checkpoint, Tally


class Folder:
    """Folds the entries of one turn, fresh or from what was saved. Not thread-safe; amortised O(1) per event.

    `Folder(3)` starts turn 3 afresh. `Folder(3, response, checkpoint)` goes on from a saved pair. `Folder(3, response)`
    goes on from a document alone, as a client does that healed from a snapshot: it takes every item of an unfinished
    response for open, and knows no tokens of before.
    """

    __slots__ = ("_attempt", "_beginning", "_cursor", "_draft", "_ended", "_response", "_tally", "turn")

    def __init__(self, turn: int, response: Response | None = None, checkpoint: Checkpoint | None = None) -> None:
        state = checkpoint or (_guess(response) if response else Checkpoint(cursor=str(START)))
        self.turn = turn
        self._cursor = Cursor.parse(state.cursor)
        self._attempt = state.attempt
        self._ended = state.ended
        self._tally = state.tally
        self._draft = Draft(response, state)
        self._response: Response | None = None
        self._beginning: bytes | None = None

    @property
    def cursor(self) -> Cursor:
        """The last entry of this turn that was folded in; go on reading after it."""
        return self._cursor

    @property
    def attempt(self) -> int:
        """The newest attempt seen; 0 before the first."""
        return self._attempt

    @property
    def tally(self) -> Tally:
        """The turn's tokens, superseded attempts included."""
        return self._tally

    @property
    def ended(self) -> AttemptEnd | None:
        """How the newest attempt ended; None while it has not."""
        return self._ended

    def feed(self, cursor: Cursor, type_: str, event: bytes | str | Event[p.Payload]) -> bool:
        """Fold one entry; True if there is something new to save (document, tally or end).

        Entries at or before the cursor, of other turns, of older attempts and of types that the fold has no use for
        give False. Raises PoisonEvent, without any change, for an entry that is not the event its type says; where the
        fold has no use for the type, and its first bytes say that it is the attempt's own, nothing more is read of it.
        """
        if cursor.seq <= self._cursor.seq:
            return False
        if self._beginning and type_ not in FOLDED and type(event) is bytes and event.startswith(self._beginning):
            # What `fold` would do, but for reading it: an agent may flood us with events that no response needs.
            self._cursor, self._response = cursor, None
            return False
        return self.fold(cursor, type_, read(cursor, type_, event))

    def fold(self, cursor: Cursor, type_: str, said: Said) -> bool:
        """`feed` for who has read the entry already."""
        if said.turn != self.turn or cursor.seq <= self._cursor.seq:
            return False
        self._cursor = cursor
        self._response = None
        if said.attempt < self._attempt:
            return False
        newer = said.attempt > self._attempt
        if newer:
            self._supersede(said)
        if newer or self._beginning is None:
            self._beginning = beginning(said.run_id, said.turn, said.attempt)
        payload = said.payload
        if isinstance(payload, Delta):
            return self._write(cursor, type_, said) or newer
        if payload is None or isinstance(payload, p.TurnStarted):
            return newer
        counted = self._count(payload)
        if isinstance(payload, p.TokenUsage):
            return counted
        if isinstance(payload, p.TurnCompleted | p.TurnFailed | p.TurnAborted):
            return self._end(payload, said) or counted or newer
        return self._write(cursor, type_, said) or counted or newer

    @property
    def has_begun(self) -> bool:
        """Whether there is a document."""
        return self._draft.head is not None

    def header(self) -> Response | None:
        """The response without its items (`output_items` is empty); None before any `response_start`."""
        head = self._draft.head
        return head and head.model_copy(update={"updated_at": self._draft.updated_at, "cursor": str(self._cursor)})

    def response(self) -> Response | None:
        """The whole document; None before any `response_start`. Asked twice in a row, it is built once."""
        if self._response is None:
            header = self.header()
            self._response = header and header.model_copy(update={"output_items": self._draft.items})
        return self._response

    def checkpoint(self) -> Checkpoint:
        """What to save beside the document."""
        return Checkpoint(
            cursor=str(self._cursor),
            attempt=self._attempt,
            phase=self._draft.phase,
            open_items=tuple(self._draft.open),
            fault=self._draft.fault,
            ended=self._ended,
            tally=self._tally,
        )

    def take_dirty(self) -> Changes:
        """What changed since the last call. If saving it fails, drop this Folder and load what is saved."""
        return self._draft.take()

    def _supersede(self, said: Said) -> None:
        self._attempt = said.attempt
        self._ended = None
        self._tally = self._tally.next_attempt()
        self._draft.restart(said.attempt)
        self._draft.updated_at = said.timestamp

    def _count(self, payload: p.Payload) -> bool:
        before = self._tally
        match payload:
            case p.TokenUsage():
                self._tally = before.plus(payload)
            case p.UsageUpdate() | p.ResponseDone() | p.TurnCompleted():
                self._tally = before.so_far(payload.usage)
            case _:
                pass
        return self._tally != before

    def _write(self, cursor: Cursor, type_: str, said: Said) -> bool:
        draft, payload = self._draft, said.payload
        try:
            if isinstance(payload, Delta):
                draft.append(payload.item_id, payload.text)
            else:
                draft.apply(said)
        except SequenceError as broken:
            if not draft.breaks(cursor, type_, f"{type_}: {broken}"):
                return False
        draft.updated_at = said.timestamp
        return True

    def _end(self, payload: p.TurnCompleted | p.TurnFailed | p.TurnAborted, said: Said) -> bool:
        if self._ended:
            return False
        match payload:
            case p.TurnCompleted():
                self._ended = AttemptEnd(type="turn_completed", attempt=said.attempt, payload=payload)
                settled = self._draft.settle("complete")
            case p.TurnFailed():
                self._ended = AttemptEnd(type="turn_failed", attempt=said.attempt, payload=payload)
                settled = self._draft.settle("error", payload.error)
            case p.TurnAborted():
                self._ended = AttemptEnd(type="turn_aborted_by_user", attempt=said.attempt, payload=payload)
                settled = self._draft.settle("aborted")
        if settled:
            self._draft.updated_at = said.timestamp
        return True


def _guess(response: Response) -> Checkpoint:
    """The checkpoint that a document without one most likely had."""
    unfinished = response.status == "in_progress" or (response.status == "error" and response.finish_reason is None)
    broken = response.error is not None and response.error.code == STREAM_SEQUENCE
    return Checkpoint(
        cursor=response.cursor or str(START),
        attempt=response.attempt,
        phase="open" if unfinished else "done",
        open_items=tuple(item.id for item in response.output_items) if unfinished else (),
        fault=response.error if broken else None,
    )
