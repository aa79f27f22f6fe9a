"""Where a cluster is: `redis+cluster://[user:password@]host:port[,host:port…][/0][?option=…]`, or `rediss+cluster://`."""

from dataclasses import dataclass
from urllib.parse import urlsplit

Address = tuple[str, int]
"""A node's host and port, as the cluster announces them."""
SCHEMES = ("redis+cluster://", "rediss+cluster://")
_PORT = 6379


@dataclass(frozen=True)
class ClusterUrl:
    """Some nodes, which know the others, and what to say to each of them."""

    seeds: tuple[Address, ...]
    scheme: str
    login: str
    options: str

    @staticmethod
    def fits(url: str) -> bool:
        """Whether this is the URL of a cluster."""
        return url.startswith(SCHEMES)

    @classmethod
    def parse(cls, url: str) -> "ClusterUrl":
        """Raises ValueError with what is wrong."""
        scheme, _, rest = url.partition("://")
        place, _, options = rest.partition("?")
        nodes, _, database = place.partition("/")
        login, at, hosts = nodes.rpartition("@")
        if database not in ("", "0"):
            raise ValueError("a cluster has only database 0")
        seeds = tuple(_address(host) for host in hosts.split(","))
        return cls(seeds, scheme.removesuffix("+cluster"), login + at, f"?{options}" if options else "")

    def of(self, node: Address) -> str:
        """The URL of one node."""
        host, port = node
        return f"{self.scheme}://{self.login}{f'[{host}]' if ':' in host else host}:{port}/0{self.options}"


def _address(text: str) -> Address:
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError(f"must name nodes as host:port,host:port, not {text!r}")
    return parts.hostname, parts.port or _PORT
