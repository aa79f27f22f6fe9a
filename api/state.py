"""What every route works with; made once, when the process starts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from api.archive_size import ArchiveSize
from api.deadlines import Deadlines
from api.desk import Desk
from api.links import Linker
from api.outages import Outages
from api.readiness import Readiness
from cody.archive.whole import WholeLog
from cody.store import Store
from cody.stream.rings import Rings


@dataclass(frozen=True)
class Door:
    """The parts behind the routes."""

    desk: Desk
    store: Store
    log: WholeLog
    hub: Rings
    linker: Linker
    readiness: Readiness
    outages: Outages
    archive_size: ArchiveSize
    roots: Sequence[Path]
    silence: Deadlines
    """Of streams that have had nothing to say."""
    lifetime: Deadlines
    """Of streams, however much they say."""
