"""How far a run's log has come, as its books in Redis tell: cheap enough to look at while the clock runs."""

from typing import cast

import redis

from cody.contract.cursor import turn_and_attempt
from cody.stream.keys import fence_key
from tests.service import Run


def last_seq(client: "redis.Redis", run: Run) -> int:
    """The last SEQ."""
    return _book(client, run, "seq")


def last_turn(client: "redis.Redis", run: Run) -> int:
    """The newest turn that has spoken."""
    return turn_and_attempt(_book(client, run, "epoch"))[0]


def _book(client: "redis.Redis", run: Run, name: str) -> int:
    return int(cast("bytes | None", client.hget(fence_key(run.id), name)) or 0)
