"""Which ports are free, before anything is started on them."""

import random
import socket
import time

LOOPBACK = "127.0.0.1"
_CHOICE = range(10_000, 32_768)
"""Below what systems give to outgoing connections: such a port may be taken again between a server's end and its start.
"""
_PATIENCE_SECONDS = 1.0
"""How long the parts of a `cody dev` that was killed may take to let go of their ports."""


class PortTakenError(Exception):
    """Somebody listens on the port; the message names it and the option that changes it."""


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen there now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do; without it, connections that a former server closed would count as taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def free_port(host: str = LOOPBACK) -> int:
    """A port that nobody listens on at this moment."""
    while not is_free(port := random.choice(_CHOICE), host):  # noqa: S311  # no secret
        pass
    return port


def settle(asked: dict[str, int], host: str = LOOPBACK, patience_seconds: float = _PATIENCE_SECONDS) -> dict[str, int]:
    """Option → port, with 0 replaced by a free one. Raises PortTakenError naming every option that cannot be had."""
    given = [port for port in asked.values() if port]
    twice = [f"{option} {port} is asked for twice" for option, port in asked.items() if given.count(port) > 1]
    if twice:
        raise PortTakenError("; ".join(twice))
    until = time.monotonic() + patience_seconds
    while taken := [(option, port) for option, port in asked.items() if port and not is_free(port, host)]:
        if time.monotonic() > until:
            lines = [f"port {port} is taken; choose another with {option} (0: a free one)" for option, port in taken]
            raise PortTakenError("\n".join(lines))
        time.sleep(0.1)
    settled = dict(asked)
    for option in (option for option, port in asked.items() if not port):
        # A port that was just found free may be found again.
        while settled[option] in (0, *(port for other, port in settled.items() if other != option)):
            settled[option] = free_port(host)
    return settled
