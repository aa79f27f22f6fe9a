"""A real Redis Cluster for tests: three nodes on loopback that can be killed, emptied, and given a replica or slots."""

import asyncio
import shutil
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import redis
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from cody.cli.dev.ports import free_port
from cody.contract.base import RunId
from cody.stream.keys import log_key
from tests.parts import RedisServer, new_run_id
from tests.service import eventually

_NODES = 3
_TIMEOUT_MS = 2000
"""After which the others take a node for failed. The machine is shared: below this they would err."""


class ClusterNode(RedisServer):
    """One node."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.bus_port = free_port()
        super().__init__(
            folder,
            *("--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf"),
            *("--cluster-port", str(self.bus_port), "--cluster-node-timeout", str(_TIMEOUT_MS)),
            # A run needs its own node only.
            *("--cluster-require-full-coverage", "no"),
            *("--repl-diskless-sync-delay", "0", "--cluster-replica-validity-factor", "0"),
        )

    @property
    def address(self) -> tuple[str, int]:
        """As the cluster announces it."""
        return "127.0.0.1", self.port

    def ask(self, *command: str | int) -> Any:
        """The answer to a command, text decoded."""
        with redis.Redis(port=self.port, decode_responses=True, protocol=2, socket_timeout=5) as client:
            return client.execute_command(*command)

    @property
    def id(self) -> str:
        """Its name in the cluster."""
        return self.ask("CLUSTER", "MYID")

    def knows(self) -> dict[str, str]:
        """CLUSTER INFO."""
        found = self.ask("CLUSTER", "INFO")
        return found if isinstance(found, dict) else dict(line.split(":", 1) for line in found.splitlines() if line)

    def slots(self) -> list[tuple[int, int, int]]:
        """(first slot, last slot, port of who serves them), as this node sees it."""
        return sorted((first, last, primary[1]) for first, last, primary, *_ in self.ask("CLUSTER", "SLOTS"))

    def forget(self) -> None:
        """Lose the data, and keep the place in the cluster; only while it is dead."""
        shutil.rmtree(self._folder / "appendonlydir")


class RedisCluster:
    """Three primaries that have a third of the slots each; `make` it once."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self.nodes = [ClusterNode(folder / f"node-{number}") for number in range(_NODES)]

    @property
    def url(self) -> str:
        """Where it is."""
        return f"redis+cluster://{','.join(f'127.0.0.1:{node.port}' for node in self.nodes)}/"

    def make(self) -> None:
        """Start the nodes, let them meet, and return when they agree."""
        bounds = [REDIS_CLUSTER_HASH_SLOTS * number // _NODES for number in range(_NODES + 1)]
        for number, node in enumerate(self.nodes):
            node.start()
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            node.ask("CLUSTER", "ADDSLOTSRANGE", bounds[number], bounds[number + 1] - 1)
        for node in self.nodes[1:]:
            self._meet(node)
        self.settled()

    def _meet(self, node: ClusterNode) -> None:
        first = self.nodes[0]
        node.ask("CLUSTER", "MEET", "127.0.0.1", first.port, first.bus_port)

    def settled(self) -> None:
        """Return when every node is well and sees the same as the others."""

        def agree() -> bool:
            well = all(node.knows()["cluster_state"] == "ok" for node in self.nodes)
            known = {node.knows()["cluster_known_nodes"] for node in self.nodes}
            first, *rest = (node.slots() for node in self.nodes)
            return well and known == {str(len(self.nodes))} and bool(first) and all(slots == first for slots in rest)

        eventually(agree, what="a cluster whose nodes agree")

    def add_replica(self, primary: ClusterNode) -> ClusterNode:
        """A fourth node, which has what `primary` has."""
        node = ClusterNode(self._folder / f"node-{len(self.nodes)}")
        node.start()
        self.nodes.append(node)
        self._meet(node)
        eventually(lambda: primary.id in node.ask("CLUSTER", "NODES"), what="a replica that knows its primary")
        node.ask("CLUSTER", "REPLICATE", primary.id)
        eventually(lambda: node.ask("INFO", "replication")["master_link_status"] == "up", what="a replica in step")
        return node

    def kill(self) -> None:
        """End all nodes at once."""
        for node in self.nodes:
            node.kill()

    def at(self, slot: int) -> ClusterNode:
        """The node that serves a slot."""
        alive = next(node for node in self.nodes if node.alive)
        port = next(port for first, last, port in alive.slots() if first <= slot <= last)
        return next(node for node in self.nodes if node.port == port)

    def of(self, run_id: str) -> ClusterNode:
        """The node that has a run."""
        return self.at(slot_of(run_id))

    def run_on(self, node: ClusterNode) -> RunId:
        """A new run that this node will have."""
        while self.of(run_id := new_run_id()) is not node:
            pass
        return run_id

    def move(self, slot: int, to: ClusterNode) -> None:
        """Give a slot with its keys to another node, as `redis-cli --cluster reshard` does it."""
        self.begin_move(slot, to)
        self.move_keys(slot, to)
        self.end_move(slot, to)

    def begin_move(self, slot: int, to: ClusterNode) -> None:
        """From now on the slot's node answers ASK for keys that it does not have."""
        source = self.at(slot)
        to.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id)
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", to.id)

    def move_keys(self, slot: int, to: ClusterNode, keys: Sequence[str] | None = None) -> None:
        """Hand over these keys, or all that there are."""
        source = self.at(slot)
        for key in source.ask("CLUSTER", "GETKEYSINSLOT", slot, 1000) if keys is None else keys:
            source.ask("MIGRATE", "127.0.0.1", to.port, key, 0, 5000)

    def end_move(self, slot: int, to: ClusterNode) -> None:
        """The slot is the other node's."""
        source = self.at(slot)
        for node in (to, source, *self.nodes):
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", to.id)


def slot_of(run_id: str) -> int:
    """Where the keys of a run are."""
    return key_slot(log_key(run_id).encode())


@contextmanager
def running_cluster(folder: Path) -> Generator[RedisCluster]:
    """A cluster in `folder`, gone at the end."""
    cluster = RedisCluster(folder)
    try:
        cluster.make()
        yield cluster
    finally:
        cluster.kill()


@asynccontextmanager
async def node_killed(node: ClusterNode, cluster: RedisCluster, *, emptied: bool = False) -> AsyncGenerator[None]:
    """Kill a node for the block, and bring it back, with its data or (`emptied`) without."""
    node.kill()
    try:
        yield
    finally:
        if emptied:
            node.forget()
        await asyncio.to_thread(node.start)
        await asyncio.to_thread(cluster.settled)
