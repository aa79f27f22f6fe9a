"""The record: runs, controls, responses, prompts and kept output; the only room that speaks SQL."""

from cody.store.archive import ArchivePatience, ArchiveStore, Chunk, Due
from cody.store.away import DatabaseGone
from cody.store.controls import Control, ControlStore, IllegalControl
from cody.store.database import Database
from cody.store.healing import FIRST_LEASE, HealingStore, Known
from cody.store.pulse import Pulse
from cody.store.responses import Projection, ResponseStore
from cody.store.run_rows import AnyRequest, Filters, KeyReused, NewRun, Overtaken, RunChange, RunRow, ThreadBusy, Word
from cody.store.runs import RunStore
from cody.store.schema import migrate
from cody.store.threads import ThreadStore
from cody.store.turns import TurnStore

__all__ = [
    "FIRST_LEASE",
    "AnyRequest",
    "ArchivePatience",
    "ArchiveStore",
    "Chunk",
    "Control",
    "ControlStore",
    "Database",
    "DatabaseGone",
    "Due",
    "Filters",
    "HealingStore",
    "IllegalControl",
    "KeyReused",
    "Known",
    "NewRun",
    "Overtaken",
    "Projection",
    "ResponseStore",
    "RunChange",
    "RunRow",
    "RunStore",
    "Store",
    "ThreadBusy",
    "ThreadStore",
    "TurnStore",
    "Word",
    "migrate",
]


class Store:
    """All repositories on one database."""

    def __init__(self, url: str) -> None:
        self.database = Database(url)
        self.runs = RunStore(self.database)
        self.controls = ControlStore(self.database)
        self.responses = ResponseStore(self.database)
        self.threads = ThreadStore(self.database)
        self.archive = ArchiveStore(self.database)
        self.healing = HealingStore(self.database)
        self.turns = TurnStore(self.database)
        self.pulse = Pulse(self.database)

    async def open(self) -> None:
        """Bring the schema up to date; raises DatabaseGone if the database does not answer."""
        await migrate(self.database)

    async def close(self) -> None:
        """Close all connections."""
        await self.database.close()
