"""The archive: what logs have said, in chunks of consecutive entries, and how far each log is archived and trimmed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, delete, func, or_, select, update

from cody.contract.lifecycle import ENDED
from cody.store.database import Database
from cody.store.tables import archives, chunks, runs


@dataclass(frozen=True)
class Chunk:
    """Consecutive entries of a log: SEQ `first` to `last`, `size` bytes of events, the newest of them said `at`."""

    first: int
    last: int
    at: int
    size: int
    data: bytes = b""
    words: int = 0
    """Number of the run's own last event among them, if there is one."""


@dataclass(frozen=True)
class Due:
    """A log with something to move: up to which SEQ it is archived, and trimmed, and projected; `over` if it ended."""

    run_id: str
    archived: int
    trimmed: int
    cursor: int
    over: bool


@dataclass(frozen=True)
class ArchivePatience:
    """When a log is due: so many events wait, or some do and the archive ends before `gathered_since` (Unix ms)."""

    events: int
    gathered_since: int
    """Not silence: who goes on talking would be in Redis, and in its writer, only, for as long as it talks slowly."""
    young_after: int
    """What was said since then stays where it is fastest to read."""


class ArchiveStore:
    """The rows of `archives` and `chunks`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def due(self, patience: ArchivePatience, limit: int = 200) -> list[Due]:
        """Logs of which something is to be archived, or has been archived and may leave Redis."""
        row, archive = runs.c, archives.c
        ended = row.status.in_(sorted(ENDED))
        waits = row.cursor_seq - archive.archived
        old = (
            select(chunks.c.run_id)
            .where(
                chunks.c.run_id == archive.run_id,
                chunks.c.last_seq > archive.trimmed,
                chunks.c.at < patience.young_after,
            )
            .exists()
        )
        last = select(chunks.c.at).where(chunks.c.run_id == archive.run_id).order_by(chunks.c.first_seq.desc()).limit(1)
        reached = last.scalar_subquery()
        query = (
            select(archive.run_id, archive.archived, archive.trimmed, row.cursor_seq, ended.label("over"))
            .join(runs, row.id == archive.run_id)
            .where(
                archive.settled.is_(False),
                or_(
                    and_(ended, archive.whole.is_(False)),
                    waits >= patience.events,
                    and_(waits > 0, func.coalesce(reached, row.created_at) < patience.gathered_since),
                    old,
                ),
            )
            .limit(limit)
        )

        def work(connection: Connection) -> list[Due]:
            return [Due(*found) for found in connection.execute(query).all()]

        return await self._db.read(work)

    async def keep(self, run_id: str, new: Sequence[Chunk], *, whole: bool) -> bool:
        """Add the next chunks, if they are the next; `whole` if the run's end is among what is archived by now.

        False, and nothing is changed, if another archivist was faster.
        """
        if not new and not whole:
            return True

        def work(connection: Connection) -> bool:
            query = select(archives.c.archived).where(archives.c.run_id == run_id).with_for_update()
            archived = connection.execute(query).scalar_one_or_none()
            if archived is None or (new and new[0].first != archived + 1):
                return False
            if new:
                rows = [
                    {
                        "run_id": run_id, "first_seq": chunk.first, "last_seq": chunk.last,
                        "at": chunk.at, "size": chunk.size, "data": chunk.data,
                    }
                    for chunk in new
                ]  # fmt: skip
                connection.execute(chunks.insert(), rows)
            words = max((chunk.words for chunk in new), default=0)
            values: dict[str, Any] = {"archived": new[-1].last if new else archived, "whole": whole}
            if words:
                values["lifecycle"] = words
            connection.execute(update(archives).where(archives.c.run_id == run_id).values(**values))
            return True

        return await self._db.write(work)

    async def beyond(self, run_id: str, seq: int) -> list[Chunk]:
        """The chunks that hold entries above `seq`, without their data, in order."""
        columns = chunks.c
        query = (
            select(columns.first_seq, columns.last_seq, columns.at, columns.size)
            .where(columns.run_id == run_id, columns.last_seq > seq)
            .order_by(columns.first_seq)
        )
        return await self._db.read(lambda connection: [Chunk(*found) for found in connection.execute(query).all()])

    async def trimmed(self, run_id: str, seq: int, *, settled: bool) -> None:
        """Redis has nothing up to `seq` any more; `settled` if it has nothing of the run at all."""
        query = update(archives).where(archives.c.run_id == run_id).values(trimmed=seq, settled=settled)
        await self._db.write(lambda connection: connection.execute(query))

    async def holding(self, run_id: str, seq: int) -> Chunk | None:
        """The chunk that holds this SEQ."""
        columns = chunks.c
        query = (
            select(columns.first_seq, columns.last_seq, columns.at, columns.size, columns.data)
            .where(columns.run_id == run_id, columns.first_seq <= seq)
            .order_by(columns.first_seq.desc())
            .limit(1)
        )

        def work(connection: Connection) -> Chunk | None:
            found = connection.execute(query).first()
            return Chunk(*found) if found is not None and found.last_seq >= seq else None

        return await self._db.read(work)

    async def span(self, run_id: str) -> tuple[int, int] | None:
        """First and last SEQ that the archive has; None if it has nothing."""
        query = select(func.min(chunks.c.first_seq), func.max(chunks.c.last_seq)).where(chunks.c.run_id == run_id)

        def work(connection: Connection) -> tuple[int, int] | None:
            first, last = connection.execute(query).one()
            return None if first is None else (first, last)

        return await self._db.read(work)

    async def reach(self, run_id: str) -> tuple[int, bool]:
        """Up to which SEQ the log was ever archived, and whether that is the run's end; also when it was forgotten."""
        query = select(archives.c.archived, archives.c.whole).where(archives.c.run_id == run_id)

        def work(connection: Connection) -> tuple[int, bool]:
            found = connection.execute(query).first()
            return (0, False) if found is None else (found.archived, found.whole)

        return await self._db.read(work)

    async def expire(self, older_than: int) -> None:
        """Forget what was said before `older_than` (Unix ms) and is no longer in Redis."""
        let_go = select(archives.c.run_id).where(
            archives.c.run_id == chunks.c.run_id, archives.c.trimmed >= chunks.c.last_seq
        )
        query = delete(chunks).where(chunks.c.at < older_than, let_go.exists())
        await self._db.write(lambda connection: connection.execute(query))

    async def size(self) -> int:
        """Bytes that the archive takes, compressed."""
        query = select(func.coalesce(func.sum(func.length(chunks.c.data)), 0))
        return await self._db.read(lambda connection: int(connection.execute(query).scalar_one()))
