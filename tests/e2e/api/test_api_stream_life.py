"""How long a stream lives: silence, its longest time, Redis away, and the end of the service."""

import time

from tests.e2e.conftest import OwnService
from tests.figures import scrape
from tests.service import Frame, Service

WAITING = "while test ! -e go; do sleep 0.02; done; echo gone"


def test_silence_is_filled_and_redis_may_be_away(own_service: OwnService):
    with own_service({"CODY_SSE_KEEPALIVE_SECONDS": "0.5"}) as service:
        run = service.start(WAITING)
        with run.stream() as stream:
            stream.until(lambda frame: frame.event == "response_start")
            began = time.monotonic()
            for _ in range(3):
                assert stream.until(_silent).raw == ": keepalive\n\n"
            assert time.monotonic() - began > 1.0

            with service.frozen("redis"):
                began = time.monotonic()
                while time.monotonic() < began + 3:
                    stream.until(_silent)
                # A place cannot be looked up now, but the stream is there.
                another, ahead = run.stream(), run.stream(from_="999")
                assert (another.status, ahead.status) == (200, 200)
                assert scrape(f"127.0.0.1:{service.api_port}").value("cody_streams_waited_total") == 2
                (run.dir / "go").touch()
                for each in (another, ahead):
                    each.until(_silent)
            with another, ahead:
                frames = another.rest()
                # Its place is not there: it comes again, and is told.
                assert [frame for frame in ahead.rest() if frame.event] == []
            rest = stream.rest()
        with run.stream(from_="999") as stream:
            assert stream.status == 409
        frames = [frame for frame in frames if frame.event]
        assert [frame.seq for frame in frames] == list(range(1, len(frames) + 1))
        assert rest[-1].event == frames[-1].event == "run_completed"
        assert [frame.seq for frame in rest if frame.event] == list(range(5, len(frames) + 1))


def _silent(frame: Frame) -> bool:
    return frame.comments == ("keepalive",)


def test_a_connection_ends_after_its_time_and_is_resumed(own_service: OwnService):
    with own_service({"CODY_SSE_MAX_SECONDS": "1"}) as service:
        run = service.start(WAITING)
        run.wait("running")
        began = time.monotonic()
        with run.stream() as stream:
            frames = stream.rest()
        assert time.monotonic() - began > 0.8
        (run.dir / "go").touch()
        run.wait("completed")
        with run.stream(headers={"Last-Event-ID": frames[-1].id or ""}) as stream:
            frames += stream.rest()
        assert [frame.seq for frame in frames] == list(range(1, len(frames) + 1))
        assert frames[-1].event == "run_completed"


def test_a_service_with_fifty_open_streams_ends_in_time(own_service: OwnService):
    with own_service() as service:
        run = service.start("sleep 600")
        streams = [_started(service, run.path) for _ in range(50)]
        took = service.stop()
        assert took < 10
        for stream in streams:
            with stream:
                assert all(frame.event not in {"run_failed", "run_cancelled"} for frame in stream.rest())


def _started(service: Service, path: str):
    stream = service.open(f"{path}/stream")
    stream.until(lambda frame: frame.event == "response_start")
    return stream
