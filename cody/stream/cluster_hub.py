"""One reader per node of a cluster for all watched runs that the node has (ADR 020)."""

import asyncio
import logging
from collections.abc import Sequence

from redis.exceptions import AskError, MovedError, ResponseError

from cody.contract.cursor import START, Cursor
from cody.stream.budget import HUB_BYTES
from cody.stream.cluster import Cluster, address_in
from cody.stream.cluster_url import Address
from cody.stream.connection import RedisGone
from cody.stream.entry import Entry
from cody.stream.follower import READ_COUNT
from cody.stream.keys import log_key
from cody.stream.log import Log
from cody.stream.node_reader import NodeReader
from cody.stream.ring import HEARD_SECONDS, RING_BYTES, Ring
from cody.stream.rings import Rings

_PAUSE_SECONDS = 0.25
_LOOK_SECONDS = 1.0
"""How often it is asked whether slots have moved: nobody says so of a log that is empty still."""
_AT_ONCE = 8
"""New runs whose ends are looked up together: their followers want connections too."""
_log = logging.getLogger(__name__)


class ClusterHub(Rings):
    """Follows the logs of all runs that somebody watches, wherever in the cluster they are; `run` is its task.

    A run's home is the node that it was read from last, and that will say when it changes.
    """

    def __init__(self, log: Log, cluster: Cluster, *, hub_bytes: int = HUB_BYTES) -> None:
        super().__init__(log, RING_BYTES, hub_bytes)
        self._cluster = cluster
        self._readers: dict[Address, NodeReader] = {}
        self._homes: dict[str, Address] = {}
        self._beginning: set[Ring] = set()
        self._looking = asyncio.Semaphore(_AT_ONCE)
        self._astray: set[str] = set()
        """Runs that were sent on, and have not been read since."""
        self._again: set[str] = set()
        """Runs to be looked at with the next look at the slots."""
        self._heard: set[str] = set()
        """Runs that changed while their writer was heard here: left alone for a while."""
        self._tasks: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Read until cancelled; what is away is tried again."""
        async with asyncio.TaskGroup() as tasks:
            self._readers, self._homes, self._beginning, self._astray = {}, {}, set(), set()
            self._tasks, self._again = tasks, set(self._rings)
            tasks.create_task(self._watch_slots())
            try:
                while True:
                    self._new.clear()
                    for run_id, ring in self._rings.items():
                        if ring.base is None and ring not in self._beginning:
                            self._beginning.add(ring)
                            tasks.create_task(self._begin(run_id, ring))
                    await self._new.wait()
            finally:
                self._tasks = None  # a reader may get an answer yet, before it is cancelled too

    async def _begin(self, run_id: str, ring: Ring) -> None:
        """Give a new ring its place: what is older, its followers read for themselves."""
        while self._rings.get(run_id) is ring:
            try:
                async with self._looking:
                    last = await self.log.last(run_id)
            except RedisGone:
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            ring.last = last.cursor if last else START
            ring.base = ring.last.seq + 1
            ring.wake()
            self.changed(run_id)
            break
        self._beginning.discard(ring)

    async def _watch_slots(self) -> None:
        """Look where slots have gone, and read there."""
        seen = self._cluster.slots
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            if not self._rings:
                continue
            try:
                await self._cluster.learn()
            except RedisGone:
                continue
            self._homes = {run_id: home for run_id, home in self._homes.items() if run_id in self._rings}
            again, self._again = self._again, set()
            if self._cluster.slots is not seen:
                seen = self._cluster.slots
                again |= {run_id for run_id, home in self._homes.items() if self._owner(run_id) != home}
            for run_id in again:
                self.changed(run_id)

    def _owner(self, run_id: str) -> Address | None:
        return self._cluster.owner(log_key(run_id))

    def _go(self, run_id: str, home: Address, *, asking: bool = False) -> None:
        """Read a run at this node."""
        reader = self._readers.get(home)
        if reader is None and self._tasks is not None:
            reader = self._readers[home] = NodeReader(home, self._cluster.node(home), self)
            self._tasks.create_task(self._keep_reading(reader))
        if reader is not None:
            before, self._homes[run_id] = self._homes.get(run_id, home), home
            reader.look(run_id, asking=asking, tell=before != home)

    async def _keep_reading(self, reader: NodeReader) -> None:
        """Until the node is away and no run is at home there."""
        while True:
            try:
                await reader.read()
            except* RedisGone as gone:
                _log.debug("%s:%d is away", *reader.address, exc_info=gone)
            await asyncio.sleep(_PAUSE_SECONDS)
            at_home = self._at(reader.address)
            if not at_home:
                del self._readers[reader.address]
                return
            for run_id in at_home:
                reader.look(run_id, tell=True)

    def _at(self, node: Address) -> list[str]:
        return [run_id for run_id, home in self._homes.items() if home == node and run_id in self._rings]

    # What the readers ask and say.

    def place(self, run_id: str) -> Cursor | None:
        """Where a run's ring ends."""
        ring = self._rings.get(run_id)
        return ring.last if ring is not None and ring.base is not None else None

    def changed(self, run_id: str) -> None:
        """Read a run's log where it is; later, if what changes it was written in this process and is known."""
        ring = self._rings.get(run_id)
        if ring is None or ring.base is None or run_id in self._heard:
            return
        if ring.is_heard:
            self._heard.add(run_id)
            asyncio.get_running_loop().call_later(HEARD_SECONDS, self._heard_out, run_id)
            return
        owner = self._owner(run_id)
        if owner is None:
            self._again.add(run_id)
        else:
            self._go(run_id, owner)

    def _heard_out(self, run_id: str) -> None:
        self._heard.discard(run_id)
        self.changed(run_id)

    def emptied(self, node: Address) -> None:
        """All logs of a node may have changed."""
        for run_id in self._at(node):
            self.changed(run_id)

    def found(self, run_id: str, asked: Cursor, entries: Sequence[Entry]) -> None:
        """Only what follows the place that was asked for counts: the ring may be a newer one of the same run."""
        self._astray.discard(run_id)
        if not entries or (place := self.place(run_id)) is None:
            return
        if place == asked:
            self._rings[run_id].extend(entries)
        if place != asked or len(entries) == READ_COUNT:
            self.changed(run_id)

    def refused(self, run_id: str, node: Address, error: ResponseError) -> None:
        """Go where the node sends us. What is only on its way there may come back without a word: so look again."""
        circle = run_id in self._astray  # the nodes do not agree yet
        if circle or not isinstance(error, AskError):
            self._astray.discard(run_id)
            self._again.add(run_id)
        elif isinstance(error, MovedError):
            self._astray.add(run_id)
            self._cluster.moved(error, node)
            self._go(run_id, address_in(error, node))
        else:
            self._astray.add(run_id)
            self._again.add(run_id)
            self._go(run_id, address_in(error, node), asking=True)
