"""The hub for whatever REDIS_URL names."""

from cody.stream.budget import HUB_BYTES
from cody.stream.cluster import Cluster
from cody.stream.cluster_hub import ClusterHub
from cody.stream.hub import Hub
from cody.stream.log import Log
from cody.stream.node import connect_node
from cody.stream.rings import Rings


def hub_for(log: Log, url: str, hub_bytes: int = HUB_BYTES) -> Rings:
    """A hub whose followers read old entries from `log`, which is at this URL; to be run, and closed at the end."""
    if isinstance(log.redis, Cluster):
        return ClusterHub(log, log.redis, hub_bytes=hub_bytes)
    return Hub(log, connect_node(url, blocking=True, connections=1), hub_bytes=hub_bytes)
