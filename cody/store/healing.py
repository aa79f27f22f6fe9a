"""What the store knows of a log that Redis may have lost: how far it went, and what the run itself said."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, select, update

from cody.contract.cursor import epoch_of
from cody.fold import Checkpoint
from cody.store.database import Database
from cody.store.run_rows import Word
from cody.store.tables import archives, chunks, prompts, responses, runs, said

FIRST_LEASE = 10_000
"""SEQs that a new log may hand out before the store is asked: the server's default of `archives.reserved`."""

_AT_ONCE = 1000
_CLAIMED = select(prompts.c.run_id).where(prompts.c.run_id == bindparam("run")).limit(1)


@dataclass(frozen=True)
class Known:
    """All that follows from the store about a run's log."""

    row: Mapping[str, Any]
    archived: int
    """SEQ up to which the archive has it."""
    whole: bool
    """The archive has the run's end."""
    archived_words: int
    """Number of the run's own last event that is archived."""
    reserved: int
    """SEQ up to which the log may have gone."""
    sealed: int
    """Epoch up to which attempts that never wrote were settled."""
    settled: bool
    """Redis has nothing of it any more, and need not have."""
    claimed: Sequence[int]
    """Epochs of the newest attempts that were claimed, newest first."""
    report: str | None
    """What the newest attempt that was claimed has kept, if it did its turn."""
    folded: int
    """Epoch of the newest attempt that is in the documents."""
    ended: str | None
    """Type of that one's end, if the documents have it."""
    words: Sequence[Word]
    """What the run itself said, in order."""


class HealingStore:
    """The rows of `said`, and what else tells of a log."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def known(self, run_id: str) -> Known | None:
        """What is known of the run's log; None if there is no such run."""
        return await self._db.read(lambda connection: _known(connection, run_id))

    async def is_claimed(self, run_id: str) -> bool:
        """Whether an attempt of the run may have written."""
        return await self._db.read(lambda connection: connection.execute(_CLAIMED, {"run": run_id}).first()) is not None

    async def reserve(self, run_id: str, seq: int) -> int:
        """Let the log go at least up to `seq`; gives the SEQ up to which it may go. 0 if there is no such run."""
        place = archives.c.run_id == run_id

        def work(connection: Connection) -> int:
            more = and_(place, archives.c.reserved < seq)
            connection.execute(update(archives).where(more).values(reserved=seq + FIRST_LEASE))
            return connection.execute(select(archives.c.reserved).where(place)).scalar_one_or_none() or 0

        return await self._db.write(work)

    async def in_redis(self) -> list[str]:
        """Runs of which Redis should have something."""
        query = select(archives.c.run_id).join(runs, runs.c.id == archives.c.run_id)
        query = query.where(archives.c.settled.is_(False), runs.c.version > 0)
        return await self._db.read(lambda connection: list(connection.execute(query).scalars()))

    async def archived(self, run_ids: Collection[str]) -> Mapping[str, tuple[int, bool]]:
        """Up to which SEQ each of these logs is archived, and whether that is the run's end."""
        found: dict[str, tuple[int, bool]] = {}
        ids, archive = list(run_ids), archives.c
        for first in range(0, len(ids), _AT_ONCE):
            query = select(archive.run_id, archive.archived, archive.whole)
            found |= await self._db.read(
                partial(_reaches, query.where(archive.run_id.in_(ids[first : first + _AT_ONCE])))
            )
        return found

    async def seal(self, run_id: str, epoch: int) -> None:
        """Attempts up to `epoch` that have not written will not any more."""
        lower = and_(archives.c.run_id == run_id, archives.c.sealed < epoch)
        await self._db.write(lambda connection: connection.execute(update(archives).where(lower).values(sealed=epoch)))

    async def chunk_before(self, run_id: str, seq: int) -> bytes | None:
        """The data of the last chunk that begins at or before `seq`."""
        query = select(chunks.c.data).where(chunks.c.run_id == run_id, chunks.c.first_seq <= seq)
        query = query.order_by(chunks.c.first_seq.desc()).limit(1)
        return await self._db.read(lambda connection: connection.execute(query).scalar_one_or_none())


def _reaches(query: Select[Any, Any, Any], connection: Connection) -> dict[str, tuple[int, bool]]:
    return {row.run_id: (row.archived, row.whole) for row in connection.execute(query)}


def _known(connection: Connection, run_id: str) -> Known | None:
    row = connection.execute(select(runs).where(runs.c.id == run_id)).mappings().first()
    if row is None:
        return None
    archive = connection.execute(select(archives).where(archives.c.run_id == run_id)).mappings().one()
    newest = select(prompts.c.turn, prompts.c.attempt, prompts.c.report).where(prompts.c.run_id == run_id)
    newest = newest.order_by(prompts.c.turn.desc(), prompts.c.attempt.desc()).limit(_AT_ONCE)
    claims = connection.execute(newest).all()
    documents = select(responses.c.turn, responses.c.checkpoint).where(responses.c.run_id == run_id)
    document = connection.execute(documents.order_by(responses.c.turn.desc()).limit(1)).first()
    state = Checkpoint.model_validate_json(document.checkpoint) if document else None
    spoken = select(said).where(said.c.run_id == run_id).order_by(said.c.number)
    return Known(
        row=dict(row),
        archived=archive["archived"],
        whole=archive["whole"],
        archived_words=archive["lifecycle"],
        reserved=archive["reserved"],
        sealed=archive["sealed"],
        settled=archive["settled"],
        claimed=[epoch_of(claim.turn, claim.attempt) for claim in claims],
        report=claims[0].report if claims else None,
        folded=epoch_of(document.turn, state.attempt) if document and state else 0,
        ended=state.ended.type if state and state.ended else None,
        words=[
            Word(one["number"], one["type"], one["at"], json.loads(one["payload"]))
            for one in connection.execute(spoken).mappings()
        ],
    )
