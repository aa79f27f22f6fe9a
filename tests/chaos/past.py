"""What was lost when: whether a run's log may have a gap."""

import time
from collections.abc import Collection, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

import redis

from cody.contract.base import Millis
from cody.stream.keys import fence_key

_LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class Death:
    """A worker was killed before `at`; the logs of these runs were whole in Redis until then."""

    at: float
    whole: Collection[str]


@dataclass
class Past:
    """Losses of Redis's data, and deaths of workers."""

    losses: list[float] = field(default_factory=list[float])
    deaths: list[Death] = field(default_factory=list[Death])

    def data_is_lost(self) -> None:
        """Redis is down, and its file is gone."""
        self.losses.append(time.time())

    @contextmanager
    def worker_dies(self, redis_url: str) -> Generator[None]:
        """It is killed within this context."""
        whole = _whole_logs(redis_url)
        yield
        self.deaths.append(Death(time.time(), whole))

    def may_have_lost(self, run_id: str, created_at: Millis) -> bool:
        """Whether something of the run had no writer and no Redis any more.

        That is so where a worker that may have held it died before a loss, or after one while the log was not whole
        again. What the dead one had written may have been archived by then, which is not looked at.
        """
        began = created_at / 1000
        return any(
            death.at >= began and (death.at <= loss or run_id not in death.whole)
            for loss in self.losses
            for death in self.deaths
        )


def _whole_logs(redis_url: str) -> Collection[str]:
    """Runs whose logs this Redis is known to have all of; none if it does not answer."""
    client = redis.Redis.from_url(redis_url, socket_timeout=_LOOK_SECONDS, retry=None, decode_responses=True)
    before, after = fence_key("*").split("*")
    try:
        here = client.info("server")["run_id"]
        fences = list(client.scan_iter(fence_key("*"), count=1000))
        return {
            fence.removeprefix(before).removesuffix(after) for fence in fences if client.hget(fence, "home") == here
        }
    except (redis.ConnectionError, redis.TimeoutError):
        return ()
    finally:
        client.close()
