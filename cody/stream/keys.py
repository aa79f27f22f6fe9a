"""The keys of a run; the braces put all of them in one Redis Cluster slot."""

HEALTH_KEY = "codex:health"
"""Written to see whether Redis takes a write; of no run."""


def log_key(run_id: str) -> str:
    """The stream of the run's events."""
    return f"codex:run:{{{run_id}}}:events"


def fence_key(run_id: str) -> str:
    """The hash that the append keeps its books in: see `append.lua`."""
    return f"codex:run:{{{run_id}}}:fence"


def salvage_key(run_id: str) -> str:
    """Where workers put together what they still have of a log that Redis has lost: see `mending`."""
    return f"codex:run:{{{run_id}}}:salvage"


def run_of(key: bytes) -> str:
    """The run that a key is of."""
    return key[key.index(b"{") + 1 : key.rindex(b"}")].decode()
