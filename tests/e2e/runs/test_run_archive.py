"""A log that has left Redis: streams, documents and healing as if it had not."""

import json
from collections.abc import Generator

import pytest

from tests.service import Frame, Run, Service, eventually, running

AT_ONCE = {"CODY_LOG_YOUNG_SECONDS": "0", "CODY_ARCHIVE_GATHER_EVENTS": "1"}
FORGETFUL = {**AT_ONCE, "CODY_ARCHIVE_SECONDS": "0.2"}


def in_redis(service: Service, run: Run) -> int:
    with service.redis() as redis:
        return int(redis.xlen(f"codex:run:{{{run.id}}}:events"))


def read(run: Run, **place: str) -> list[Frame]:
    with run.stream(**place) as stream:  # pyright: ignore[reportArgumentType]
        return stream.rest()


@pytest.fixture(scope="module")
def archiving(tmp_path_factory: pytest.TempPathFactory) -> Generator[Service]:
    """A service that archives at once, and keeps nothing in Redis that is archived."""
    with running(tmp_path_factory.mktemp("archiving"), AT_ONCE) as service:
        yield service


def test_a_run_streams_from_the_archive_as_it_did_from_redis(archiving: Service):
    run = archiving.start("for i in $(seq 40); do echo $i; done", max_turns=3)
    with run.stream() as stream:
        live = stream.rest()
    eventually(lambda: not in_redis(archiving, run), what="Redis has let go of it")
    assert [frame.raw for frame in read(run)] == [frame.raw for frame in live]
    for at in (0, 7, len(live) - 2):
        later = read(run, from_=live[at].id or "")
        assert [(frame.id, frame.data) for frame in later] == [(frame.id, frame.data) for frame in live[at + 1 :]]
    with run.stream(from_=live[-1].id or "") as stream:
        assert stream.status == 204
    assert {frame.event for frame in read(run, types="turn_started")} == {"turn_started", "run_completed"}


def test_a_live_run_streams_over_the_seam(archiving: Service):
    place = archiving.workspace()
    script = "[ $CODY_TURN = 1 ] || while [ ! -e go ]; do sleep 0.02; done; echo $CODY_TURN"
    run = archiving.start(script, working_dir=place, max_turns=2)
    with run.stream() as early:
        early.until(lambda frame: frame.event == "turn_started" and frame.json["turn"] == 2)
        eventually(lambda: not in_redis(archiving, run), what="the first turn has left Redis")
        with run.stream() as late:
            (place / "go").touch()
            seen = [frame.id for frame in late.rest()]
        early.rest()
    run.wait("completed")
    assert [int((cursor or "").split("-")[0]) for cursor in seen] == list(range(1, len(seen) + 1))


def test_without_redis_a_stream_still_has_what_the_archive_has(archiving: Service):
    run = archiving.start("echo 1", max_turns=2)
    run.wait("completed")
    eventually(lambda: not in_redis(archiving, run), what="Redis has let go of it")
    whole = [frame.raw for frame in read(run)]
    with archiving.frozen("redis"):
        assert [frame.raw for frame in read(run)] == whole


@pytest.fixture(scope="module")
def forgotten(tmp_path_factory: pytest.TempPathFactory) -> Generator[Run]:
    """A run that ended, of which nothing but the documents is kept."""
    with running(tmp_path_factory.mktemp("forgetful"), FORGETFUL) as service:
        run = service.start("echo 1", max_turns=2)
        run.wait("completed")
        eventually(lambda: _forgotten(run), what="the archive has forgotten all of it")
        yield run


def _forgotten(run: Run) -> bool:
    with run.stream() as stream:
        return stream.status == 410 and json.loads(stream.body())["earliest_cursor"] is None


@pytest.mark.parametrize("place", [{}, {"from_": "2"}, {"headers": {"Last-Event-ID": "4"}}])
def test_what_is_kept_nowhere_is_410_and_heals_in_one_round_trip(forgotten: Run, place: dict[str, str]):
    service = forgotten.service
    with forgotten.stream(**place) as stream:  # pyright: ignore[reportArgumentType]
        assert stream.status == 410
        body = json.loads(stream.body())
    assert (body["code"], body["earliest_cursor"]) == ("stream_trimmed", None)
    assert len(service.http.get(body["responses"]).json()["responses"]) == 2
    with forgotten.stream(from_=body["latest_cursor"]) as stream:
        assert stream.status == 204
    with forgotten.stream(from_="2", heal="frame") as stream:
        reset = next(iter(stream))
    assert (reset.event, reset.retry) == ("stream_reset", 1000)
    assert reset.json["latest_cursor"] == body["latest_cursor"]
