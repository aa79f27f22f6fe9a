"""What a fold keeps beside the response: token counts, how the attempt ended, and what going on after a crash needs."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from cody.contract.base import Maybe, Model
from cody.contract.errors import ErrorInfo
from cody.contract.items import Item
from cody.contract.payloads import TokenUsage, TurnAborted, TurnCompleted, TurnFailed
from cody.contract.usage import Usage


class Tokens(Model):
    """A count of tokens; `total_tokens` is the sum of the other two where its source left it out."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0

    def __add__(self, other: "Tokens") -> "Tokens":
        return Tokens(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            total_tokens=self.total_tokens + other.total_tokens,
        )

    @classmethod
    def of(cls, usage: Usage | TokenUsage) -> "Tokens":
        """The count that an event gives."""
        return cls(
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            total_tokens=usage.total_tokens or usage.prompt_tokens + usage.completion_tokens,
        )


class Tally(Model):
    """Tokens of one turn: every attempt counts, superseded ones too, and nothing twice.

    `token_usage` is an increment. `usage_update` is the attempt's total so far and replaces what was known of it, also
    downwards (a first snapshot may be a guess); the `usage` of `response_done` and `turn_completed` is the same.
    """

    superseded: Tokens = Tokens()
    current: Tokens = Tokens()

    @property
    def total(self) -> Tokens:
        """All attempts together."""
        return self.superseded + self.current

    def plus(self, usage: TokenUsage) -> "Tally":
        """After an increment."""
        return Tally(superseded=self.superseded, current=self.current + Tokens.of(usage))

    def so_far(self, usage: Usage | None) -> "Tally":
        """After the attempt's total was told; unchanged by None."""
        return Tally(superseded=self.superseded, current=Tokens.of(usage)) if usage else self

    def next_attempt(self) -> "Tally":
        """The current attempt is superseded."""
        return Tally(superseded=self.total)


class AttemptEnd(Model):
    """The end of an attempt: the event's type and payload."""

    type: Literal["turn_completed", "turn_failed", "turn_aborted_by_user"]
    attempt: int
    payload: TurnCompleted | TurnFailed | TurnAborted


Phase = Literal["waiting", "open", "done"]
"""Where the newest attempt's response stands: before its `response_start`, taking items, closed."""


class Checkpoint(Model):
    """All that a Folder needs beside the response's document to go on as if nothing had happened.

    Save it in the transaction that saves the document. `cursor` equals the response's where there is a response.
    """

    cursor: str
    attempt: int = 0
    phase: Phase = "waiting"
    open_items: tuple[str, ...] = ()
    fault: Maybe[ErrorInfo] = None
    ended: Maybe[AttemptEnd] = None
    tally: Tally = Tally()


class Piece(NamedTuple):
    """Text that came for the item at `position` (from 0); `start` is how many characters its text had before it."""

    position: int
    start: int
    text: str


class Changes(NamedTuple):
    """What changed since it was last asked for, so that what an item costs to save grows with its text and no faster.

    `emptied`: a newer attempt superseded the items saved so far; delete them all first. `items`: (position from 0,
    item) of every item that is new or was replaced, ascending. `pieces`: what only came to an item's text, ascending.
    """

    emptied: bool
    items: list[tuple[int, Item]]
    pieces: Sequence[Piece] = ()
