"""The stream: its frames, and every place that a client may come from."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.e2e.api.api_checks import TERMINAL
from tests.figures import scrape
from tests.service import Frame, Run, Service, Stream

CURSOR = re.compile(r"([1-9][0-9]*)-([0-9]+)")


def error(stream: Stream, status: int, code: str) -> dict[str, Any]:
    """An answer that is a problem and no stream."""
    with stream:
        assert stream.status == status, stream.body()
        assert stream.headers["content-type"] == "application/problem+json"
        body = json.loads(stream.body())
    assert (body["status"], body["code"]) == (status, code)
    return body


def seqs(frames: list[Frame]) -> list[int]:
    return [frame.seq for frame in frames]


def test_frames_to_the_letter(done: Run):
    with done.stream() as stream:
        assert stream.status == 200
        assert stream.headers["content-type"].partition(";")[0] == "text/event-stream"
        assert "no-cache" in stream.headers["cache-control"]
        frames = stream.rest()
    raw = b"".join(stream.chunks)
    assert b"\r" not in raw
    assert all(chunk.endswith(b"\n\n") for chunk in stream.chunks)
    assert frames[0].retry == 1000
    form = r"(retry: \d+\n)?id: %s\nevent: %s\ndata: \{.*\}\n\n"
    epoch = 0
    for number, frame in enumerate(frames, start=1):
        assert re.fullmatch(form % (frame.id, frame.event), frame.raw)
        assert (frame.retry is None) == (number > 1)
        cursor = CURSOR.fullmatch(frame.id or "")
        assert cursor
        assert int(cursor[1]) == number
        event = frame.json
        assert (event["type"], event["run_id"]) == (frame.event, done.id)
        if event["turn"]:
            epoch = event["turn"] * 1000 + event["attempt"]
        assert int(cursor[2]) == epoch
        assert event.keys() - {"trace_context"} == {
            *("event_id", "type", "timestamp", "run_id", "turn", "attempt", "payload")
        }
        assert re.fullmatch(rf"{done.id}:{event['turn']}:{event['attempt']}:[1-9]\d*", event["event_id"])
    assert len({frame.json["event_id"] for frame in frames}) == len(frames)
    assert [frame.event for frame in frames if frame.event in TERMINAL] == [frames[-1].event]


def test_a_stream_starts_after_the_cursor_in_every_form(done: Run):
    with done.stream() as stream:
        frames = stream.rest()
    total = len(frames)
    for frame in frames[:-1]:
        whole, bare = frame.id or "", str(frame.seq)
        for stream in (
            done.stream(from_=whole),
            done.stream(from_=bare),
            done.stream(headers={"Last-Event-ID": whole}),
            done.stream(headers={"Last-Event-ID": bare}),
            done.stream(headers={"last-event-id": whole}, from_="1"),
            done.stream(headers={"Last-Event-ID": bare}, from_="garbage"),
        ):
            with stream:
                rest = stream.rest()
            assert seqs(rest) == list(range(frame.seq + 1, total + 1))
            assert [each.raw.partition("id:")[2] for each in rest] == [
                each.raw.partition("id:")[2] for each in frames[frame.seq :]
            ]
            assert rest[0].retry == 1000
    for start in ("0", "0-0", ""):
        with done.stream(from_=start) as stream:
            assert seqs(stream.rest()) == list(range(1, total + 1))


def test_204_at_the_terminal_cursor(done: Run):
    with done.stream() as stream:
        last = stream.rest()[-1]
    ends = [{"headers": {"Last-Event-ID": last.id}}, {"headers": {"Last-Event-ID": str(last.seq)}}]
    for options in (*ends, {"from_": last.id}, {"from_": str(last.seq)}, {"from_": "latest"}):
        with done.stream(**options) as stream:  # pyright: ignore[reportArgumentType]
            assert stream.status == 204
            assert stream.body() == b""
            assert stream.headers.get("content-length", "0") == "0"


GARBAGE = ["x", "-1", "1-", "-", "1-2-3", "1.0", "0x1", " 1", "1 ", "+1", "1e3", "9" * 19, "1-" + "9" * 19, "٣", "\0"]
MORE_GARBAGE = ["$", ">", "*", "1,2", "1-1001 ", "LATEST", "latest!", "null", "9" * 5000]


@pytest.mark.parametrize("cursor", [*GARBAGE, *MORE_GARBAGE])
def test_a_cursor_of_garbage_is_400(done: Run, cursor: str):
    assert error(done.stream(from_=cursor), 400, "invalid_cursor")["errors"][0]["field"] == "from"
    # A header's value cannot begin or end with blanks, nor hold a NUL.
    if cursor == cursor.strip(" \0") and cursor.isascii():
        fault = error(done.stream(headers={"Last-Event-ID": cursor}), 400, "invalid_cursor")["errors"][0]
        assert fault["field"] == "Last-Event-ID"


def test_a_cursor_beyond_the_end_or_of_another_epoch_is_409(done: Run):
    with done.stream() as stream:
        frames = stream.rest()
    first, last = frames[0].id, frames[-1].id
    wrong = [str(len(frames) + 1), f"{len(frames) + 1}-3001", "999999999999999999", "3-9999", "3-0", f"{len(frames)}-1"]
    for cursor in [*wrong, "0-1"]:
        for stream in (done.stream(from_=cursor), done.stream(headers={"Last-Event-ID": cursor})):
            body = error(stream, 409, "cursor_ahead")
            assert (body["earliest_cursor"], body["latest_cursor"]) == (first, last)
            assert body["responses"] == f"{done.path}/responses"


def test_a_cursor_of_a_run_without_a_log_is_ahead(service: Service):
    with service.frozen("worker"):
        run = service.start("true")
        body = error(run.stream(from_="1"), 409, "cursor_ahead")
        assert (body["earliest_cursor"], body["latest_cursor"]) == (None, None)
    run.wait("completed")


def test_a_run_without_a_log_streams_and_waits(service: Service):
    with service.frozen("worker"):
        run = service.start("true")
        beginning, latest = run.stream(), run.stream(from_="latest")
        assert (beginning.status, latest.status) == (200, 200)
    for stream in (beginning, latest):
        with stream:
            frames = stream.rest(30)
        assert seqs(frames) == list(range(1, len(frames) + 1))
        assert frames[-1].event == "run_completed"


def test_latest_starts_at_the_end(service: Service):
    run = service.start("while test ! -e go; do sleep 0.02; done; echo gone")
    with run.stream() as whole:
        started = whole.until(lambda frame: frame.event == "response_start")
        with run.stream(from_="latest") as stream:
            (run.dir / "go").touch()
            frames = stream.rest()
    assert frames[0].seq == started.seq + 1
    assert frames[-1].event == "run_completed"


def test_types_filter_and_terminal_events_always_pass(done: Run):
    with done.stream(types="file_written,turn_started") as stream:
        frames = stream.rest()
    assert frames[0].retry == 1000
    assert {frame.event for frame in frames} == {"file_written", "turn_started", "run_completed"}
    assert [frame.event for frame in frames].count("turn_started") == 3
    with done.stream(types="item_cancelled") as stream:
        assert [frame.event for frame in stream.rest()] == ["run_completed"]
    with done.stream(types="file_written", from_=frames[-2].id or "") as stream:
        assert [frame.event for frame in stream.rest()] == ["run_completed"]
    for types in ("nope", "file_written,nope", "run_completed;x", "\0"):
        body = error(done.stream(types=types), 400, "invalid_request")
        assert body["errors"][0]["field"] == "types"
    error(done.stream(heal="yes"), 400, "invalid_request")


def test_reconnecting_clients_see_every_seq_once(service: Service):
    script = "for i in $(seq 40); do echo $i; echo x > $i.txt; sleep 0.02; done"
    run = service.start(script, max_turns=3)

    def follow(client: int) -> list[Frame]:
        seen: list[Frame] = []
        while True:
            last = (seen[-1].id or "") if seen else ""
            bare = last.partition("-")[0] if client % 2 else last
            with run.stream(headers={"Last-Event-ID": bare} if bare else {}) as stream:
                if stream.status == 204:
                    return seen
                # The first client reads on to the end; each other one hangs up after every third event.
                while frame := stream.next():
                    seen.append(frame)
                    if client and len(seen) % 3 == 0:
                        break

    with ThreadPoolExecutor(5) as pool:
        clients = list(pool.map(follow, range(5)))
    assert len(clients[0]) > 30
    for frames in clients:
        assert seqs(frames) == list(range(1, len(clients[0]) + 1))
        assert [frame.data for frame in frames] == [frame.data for frame in clients[0]]
        assert frames[-1].event == "run_completed"


def test_events_come_while_the_turn_goes_on(service: Service):
    run = service.start("echo hello; while test ! -e go; do sleep 0.02; done")
    with run.stream() as stream:
        output = stream.until(lambda frame: frame.event == "subprocess_output")
        assert output.json["payload"] == {"stream": "stdout", "text": "hello\n", "omitted_bytes": 0}
        assert run.snapshot()["status"] == "running"
        (run.dir / "go").touch()
        assert stream.rest()[-1].event == "run_completed"


def test_who_reads_the_terminal_event_reads_final_documents(service: Service):
    for _ in range(10):
        run = service.start("echo done")
        with run.stream() as stream:
            stream.until(lambda frame: frame.event in TERMINAL)
        snapshot = run.snapshot()
        assert snapshot["status"] == "completed"
        assert snapshot["stats"]["turns"] == 1
        assert [response["status"] for response in run.responses()] == ["complete"]


def test_a_cursor_ahead_is_healed_by_a_frame_too(done: Run, service: Service):
    resets = scrape(f"127.0.0.1:{service.api_port}").value("cody_stream_resets_total")
    with done.stream(from_="999999", heal="frame") as stream:
        reset, *rest = stream.rest()
    assert (reset.event, reset.json["code"]) == ("stream_reset", "cursor_ahead")
    assert seqs(rest) == list(range(1, len(rest) + 1))
    assert rest[-1].event == "run_completed"
    assert error(done.stream(from_="x", heal="frame"), 400, "invalid_cursor")
    assert scrape(f"127.0.0.1:{service.api_port}").value("cody_stream_resets_total") == resets + 1
