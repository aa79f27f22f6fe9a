"""A whole run as a client hydrates it: its responses, and where it stands."""

from collections.abc import Iterable
from typing import Final

from cody.contract import payloads as p
from cody.contract.cursor import START, Cursor
from cody.contract.events import Event
from cody.contract.lifecycle import ENDED, RunStatus
from cody.contract.responses import Response
from cody.fold.reading import read
from cody.fold.state import Tokens
from cody.fold.turn import Folder

_STATUS: Final[dict[str, RunStatus]] = {
    "run_queued": "queued",
    "run_started": "running",
    "run_pausing": "pausing",
    "run_paused": "paused",
    "run_resumed": "running",
    "run_cancelling": "cancelling",
    "run_completed": "completed",
    "run_failed": "failed",
    "run_cancelled": "cancelled",
}


class RunFolder:
    """Routes a run's stream to a Folder per turn.

    Starts empty, or from `responses` and `status` as the API gives them (how a client heals that lost its place); what
    those hold is not folded again.
    """

    def __init__(self, responses: Iterable[Response] = (), status: RunStatus = "queued") -> None:
        self._folders = {response.turn: Folder(response.turn, response) for response in responses}
        self._cursor = max((folder.cursor for folder in self._folders.values()), default=START, key=lambda c: c.seq)
        self._status: RunStatus = status

    @property
    def cursor(self) -> Cursor:
        """The last entry seen: what a client resumes its stream after."""
        return self._cursor

    @property
    def status(self) -> RunStatus:
        """The run's status by its lifecycle events."""
        return self._status

    @property
    def ended(self) -> bool:
        """Whether the terminal event was seen; nothing follows it."""
        return self._status in ENDED

    @property
    def folders(self) -> dict[int, Folder]:
        """The folder of each turn that the stream told of, in turn order."""
        return {turn: self._folders[turn] for turn in sorted(self._folders)}

    @property
    def responses(self) -> dict[int, Response]:
        """Turn → its response, in turn order; a turn whose response has not begun is missing."""
        documents = ((turn, folder.response()) for turn, folder in self.folders.items())
        return {turn: document for turn, document in documents if document}

    @property
    def tokens(self) -> Tokens:
        """What the run has used by what was fed here: every attempt counts, nothing twice."""
        return sum((folder.tally.total for folder in self._folders.values()), start=Tokens())

    def feed(self, cursor: Cursor, type_: str, event: bytes | str | Event[p.Payload]) -> bool:
        """Fold one entry; True if a response, a turn's tally or end, or the status changed. Raises PoisonEvent."""
        if cursor.seq <= self._cursor.seq:
            return False
        said = read(cursor, type_, event)
        self._cursor = cursor
        if said.turn:
            folder = self._folders.get(said.turn)
            if folder is None:
                folder = self._folders[said.turn] = Folder(said.turn)
            return folder.fold(cursor, type_, said)
        status = self._status if self.ended else _STATUS.get(type_, self._status)
        changed = status != self._status
        self._status = status
        return changed
