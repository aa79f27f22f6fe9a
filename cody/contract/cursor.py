"""A place in a run's log: `SEQ-EPOCH`, where SEQ is dense from 1 and EPOCH = turn * 1000 + attempt."""

import re
from typing import NamedTuple

EPOCHS_PER_TURN = 1000
"""An attempt is 1–999, so a turn and its attempt fit one integer that only grows."""

MAX_ATTEMPT = EPOCHS_PER_TURN - 1

_FORM = re.compile(r"([0-9]{1,18})(?:-([0-9]{1,18}))?", re.ASCII)


class Cursor(NamedTuple):
    """An entry id. `epoch` is None where a client gave only the SEQ, which names the same place."""

    seq: int
    epoch: int | None = None

    def __str__(self) -> str:
        return str(self.seq) if self.epoch is None else f"{self.seq}-{self.epoch}"

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Read `SEQ-EPOCH` or a bare `SEQ`; ValueError for anything else."""
        form = _FORM.fullmatch(text)
        if not form:
            raise ValueError(f"a cursor is SEQ or SEQ-EPOCH, not {text[:80]!r}")
        return cls(int(form[1]), int(form[2]) if form[2] else None)


START = Cursor(0, 0)
"""Before the first entry."""

LAST_EPOCH = 2**64 - 1
"""Of the last id that a SEQ can have in Redis, for who does not know the epoch of an entry."""


def epoch_of(turn: int, attempt: int) -> int:
    """The epoch of a turn's attempt."""
    return turn * EPOCHS_PER_TURN + attempt


def turn_and_attempt(epoch: int) -> tuple[int, int]:
    """The turn and attempt of an epoch; (0, 0) before the first."""
    return divmod(epoch, EPOCHS_PER_TURN)
