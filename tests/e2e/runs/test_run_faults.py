"""Parts that die, freeze and come back under a run."""

import asyncio
import signal

import httpx

from cody.clock import now_ms
from cody.store import Store
from tests.e2e.runs.checks import check_ended, processes_of, types
from tests.service import Run, Service, eventually

WORKERS = 2
FROZEN_SECONDS = 240.0
"""Each poll that Temporal still has of a worker that froze may take an attempt from the others, or a workflow task."""


def test_a_killed_worker_costs_an_attempt_and_nothing_else(service: Service):
    script = '[ "$CODY_ATTEMPT" -gt 1 ] || sleep 600; echo done'
    run = service.start(script, max_turns=1, turn_attempts=1)
    eventually(lambda: run.snapshot()["pid"])
    first = eventually(lambda: processes_of(run))
    service.part("worker").kill()
    snapshot = run.wait("completed")
    events = check_ended(run)
    assert snapshot["attempt"] == 2
    assert types(events, "turn_started", "turn_failed", "turn_completed") == [
        "turn_started",
        "turn_started",
        "turn_completed",
    ]
    assert not [process for process in first if process.is_running()]


def test_a_frozen_worker_wakes_as_a_zombie_and_is_fenced(fragile: Service):
    run = fragile.start('[ "$CODY_ATTEMPT" -gt 1 ] || sleep 600; echo done', max_turns=1)
    first = eventually(lambda: processes_of(run))
    keeper = first[0].parent()
    assert keeper is not None
    helper = keeper.parent()
    assert helper is not None
    worker = next(w for w in fragile.parts("worker") if helper in w.children())
    worker.suspend()
    run.wait("completed", seconds=FROZEN_SECONDS)
    worker.resume()
    check_ended(run)
    assert not [process for process in first if process.is_running()]
    after = fragile.start("true", max_turns=1)
    after.wait("completed", seconds=FROZEN_SECONDS)
    assert len(check_ended(run)) == len(run.events())


def test_a_worker_that_shuts_down_hands_its_turn_over(fragile: Service):
    run = fragile.start('[ "$CODY_ATTEMPT" -gt 1 ] || sleep 600; echo done', max_turns=1, turn_attempts=1)
    eventually(lambda: processes_of(run))
    for worker in fragile.parts("worker"):
        worker.send_signal(signal.SIGTERM)
    snapshot = run.wait("completed")
    events = check_ended(run)
    assert snapshot["attempt"] >= 2
    assert not types(events, "turn_failed")
    assert "worker_shutdown" in [e["payload"]["code"] for e in events if e["type"] == "warning"]


def test_a_cancel_while_no_worker_is_left_is_a_receipt_that_says_so(service: Service):
    run = service.start("sleep 600")
    eventually(lambda: processes_of(run))
    with service.frozen("worker"):
        assert run.control("cancel").status_code == 202
        assert run.snapshot()["status"] == "cancelling"
        service.part("worker").kill()
    run.wait("cancelled")
    receipt = check_ended(run)[-1]["payload"]["receipt"]
    assert receipt["worker_lost"] is True
    assert receipt["survivors"] == []
    assert not processes_of(run)


def test_the_api_may_die_under_a_run(service: Service):
    place = service.workspace()
    run = service.start("while [ ! -e go ]; do sleep 0.02; done", working_dir=place, max_turns=1)
    run.event("turn_started")
    service.part("api").kill()
    (place / "go").touch()
    eventually(lambda: _lives(service), what="the API is back")
    run.wait("completed")
    check_ended(run)


def test_a_cancel_that_an_api_accepted_and_did_not_live_to_signal_is_sent(service: Service):
    run = service.start("sleep 600")
    run.event("turn_started")
    asyncio.run(_accept_a_cancel(run))
    service.part("api").kill()
    eventually(lambda: _lives(service), what="the API is back")
    assert run.snapshot()["status"] == "cancelling"
    run.wait("cancelled")
    check_ended(run)


def test_a_restart_of_everything_loses_no_run(fragile: Service):
    place = fragile.workspace()
    run = fragile.start("while [ ! -e go ]; do sleep 0.02; done; echo done", working_dir=place, max_turns=2)
    run.event("turn_started")
    fragile.stop()
    fragile.http = httpx.Client(base_url=fragile.url, timeout=30, trust_env=False)
    fragile.start_process()
    assert run.snapshot()["status"] == "running"
    (place / "go").touch()
    run.wait("completed")
    check_ended(run)


async def _accept_a_cancel(run: Run) -> None:
    """What the API does before it signals."""
    store = Store(f"sqlite:///{run.service.data_dir / 'cody.db'}")
    await store.controls.accept(run.id, "cancel", "after_turn", "manual", now_ms())
    await store.close()


def _lives(service: Service) -> bool:
    try:
        return service.http.get("/health/live").is_success
    except httpx.TransportError:
        return False
