"""The gateway when Temporal is not there."""

import pytest

from api.gateway import Gateway
from api.problems import TemporalGone
from cody.cli.dev.ports import free_port
from cody.contract import tasks as t
from cody.store import Control


async def test_a_temporal_that_was_never_there_is_gone_and_nothing_worse():
    gateway = await Gateway.connect(f"127.0.0.1:{free_port()}", "default")
    with pytest.raises(TemporalGone):
        await gateway.start(t.RunState(run_id="run_1", limits=t.Limits(kind="single")))
    with pytest.raises(TemporalGone):
        await gateway.signal(Control(1, "run_1", "pause", "now", "manual", 1))
    with pytest.raises(TemporalGone):
        await gateway.fate("run_1")
    with pytest.raises(TemporalGone):
        await gateway.ping()
