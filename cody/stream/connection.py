"""The connection to Redis: to one server, or to the nodes of a cluster; its URL says which."""

from typing import NamedTuple

from redis.asyncio import Redis
from redis.exceptions import RedisError

from cody.stream.cluster import Cluster
from cody.stream.cluster_url import Address, ClusterUrl
from cody.stream.node import BLOCK_MS, RedisGone, connect_node

__all__ = ["BLOCK_MS", "AsyncRedis", "Place", "RedisError", "RedisGone", "connect", "node_of", "nodes"]

AsyncRedis = Redis | Cluster
_TO_A_NODE = 16
"""Connections to each node of a cluster; who finds all in use waits; to make new ones takes longer."""


def connect(url: str) -> AsyncRedis:
    """A client for one event loop."""
    if not ClusterUrl.fits(url):
        return connect_node(url)
    cluster = ClusterUrl.parse(url)
    return Cluster(cluster.seeds, lambda node: connect_node(cluster.of(node), connections=_TO_A_NODE))


class Place(NamedTuple):
    """A server that has logs: the Redis, or a node of the cluster."""

    name: str
    tag: str
    """What a key ends with that only this server has."""
    slots: int
    """Another number when it has other slots."""


async def nodes(redis: AsyncRedis) -> list[Place]:
    """All servers that have logs. Raises RedisGone if no node of a cluster can say."""
    if isinstance(redis, Redis):
        return [Place("", "", 0)]
    await redis.learn()
    return [Place(_name(node), f":{{{tag}}}", redis.slots.held(node)) for node, tag in redis.slots.tags.items()]


def node_of(redis: AsyncRedis, key: str) -> str:
    """The name of the server that has this key."""
    owner = None if isinstance(redis, Redis) else redis.owner(key)
    return _name(owner) if owner else ""


def _name(node: Address) -> str:
    return f"{node[0]}:{node[1]}"
