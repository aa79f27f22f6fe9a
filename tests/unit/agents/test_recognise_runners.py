"""Real outputs of the six runners give the events that their tables say, whatever pieces they come in."""

import json
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cody.agents.recognise import Recogniser
from cody.agents.reports import Report
from cody.contract.payloads import TestRunCompleted, TestRunStarted

TABLES = Path(__file__).parents[3] / "fixtures" / "test_runs"
RUNNERS = ("bun", "cargo", "go", "jest", "pytest", "vitest")


class Recorded(NamedTuple):
    """One run of a runner: what it printed, by stream, and what is to be told of it."""

    name: str
    texts: dict[str, str]
    events: list[Report]


def recorded() -> list[Recorded]:
    """All rows of all tables."""
    found: list[Recorded] = []
    for runner in RUNNERS:
        table = json.loads((TABLES / f"{runner}.json").read_text(encoding="utf-8"))
        for row in table["runs"]:
            files = sorted((TABLES / runner).glob(f"{row['name']}.*.txt"))
            texts = {file.suffixes[-2][1:]: file.read_bytes().decode() for file in files}
            assert texts, f"{runner} {row['name']} has no text"
            events = [
                event
                for end in row["ends"]
                for event in (
                    Report("test_run_started", TestRunStarted(command=table["command"])),
                    Report("test_run_completed", TestRunCompleted(command=table["command"], **end)),
                )
            ]
            found.append(Recorded(f"{runner}-{row['name']}", texts, events))
    return found


RECORDED = recorded()
each_recorded = pytest.mark.parametrize("run", RECORDED, ids=[run.name for run in RECORDED])


def heard(pieces: list[tuple[str, str]]) -> list[Report]:
    """What is told of pieces of text, each with its stream, while no time passes."""
    recogniser = Recogniser(lambda: 0.0)
    told = [report for stream, text in pieces for report in recogniser.feed(stream, text)]
    for stream in dict.fromkeys(stream for stream, _ in pieces):
        told += recogniser.finish(stream)
    return told + recogniser.flush(final=True)


def cut(text: str, places: list[int]) -> list[str]:
    """The text cut at places."""
    bounds = [0, *sorted({place for place in places if 0 < place < len(text)}), len(text)]
    return [text[start:end] for start, end in pairwise(bounds)]


@each_recorded
def test_a_recorded_output_gives_its_events(run: Recorded) -> None:
    assert heard(list(run.texts.items())) == run.events


@each_recorded
def test_the_other_stream_may_be_read_first(run: Recorded) -> None:
    assert heard(list(reversed(run.texts.items()))) == run.events


@given(st.data())
def test_it_does_not_matter_how_text_comes_nor_how_streams_mingle(data: st.DataObject) -> None:
    run = data.draw(st.sampled_from(RECORDED))
    streams = {
        stream: cut(text, data.draw(st.lists(st.integers(0, len(text)), max_size=30)))
        for stream, text in run.texts.items()
    }
    order = data.draw(st.permutations([stream for stream, pieces in streams.items() for _ in pieces]))
    rests = {stream: iter(pieces) for stream, pieces in streams.items()}
    assert heard([(stream, next(rests[stream])) for stream in order]) == run.events


@each_recorded
def test_runs_one_after_the_other_are_told_one_after_the_other(run: Recorded) -> None:
    for other in RECORDED:
        # Of one runner twice, the second may be taken for a part of the first where nothing stands between them.
        if run.name.partition("-")[0] != other.name.partition("-")[0]:
            assert heard([*run.texts.items(), *other.texts.items()]) == run.events + other.events, other.name


@pytest.mark.parametrize(
    "text",
    [
        "test result: ok. 3 passed; 0 failed\n",
        "The last line was: test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n",
        "running 3 tests in parallel\n",
        "ok  so the tests in 0.5s\n",
        "ok example.com/a 0.003s\n",
        "ok, it works now\n",
        "FAIL\n",
        "FAIL: the build\n",
        "PASS\n",
        "PASSED test_it.py\n",
        "--- PASS: TestA\n",
        "--- a/cody/one.py\n+++ b/cody/one.py\n",
        "? what [no test files]\n",
        "Tests: 3 passed, 3 total\n",
        "Test Suites: 1 passed, 1 total\nTests:       2 passed, 2 total\n",
        "Time:        1.154 s\n",
        "Tests  2 passed (2)\nDuration  1.30s\n",
        "Duration  1.30s (transform 78ms, setup 0ms)\n",
        "Test Files  1 passed (1)\n",
        "RUN apt-get install\n",
        "RUN  v2 of the script\n",
        "3 pass\n0 fail\n",
        "Ran 3 tests in 0.001s\n",
        "bun test v2 is out\n",
        "(pass the salt)\n",
        "✓ built in 3.2s\n",
        "Finished `dev` profile [unoptimized + debuginfo] target(s) in 0.04s\n",
        "No tests found\n",
        '{"Action":"pass"\n{"Action":"pass","Test":"TestA"}\n{"Action":"output","Package":"a","Output":"ok"}\n[]\n',
        '{"Time":"2026-11-21T09:01:51Z","level":"info","msg":"pass"}\n',
        "    e34f7ae fix: 3 passed, 1 failed in 0.12s\n",
        "x" * 3000 + "\rtest result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n",
    ],
)
def test_what_merely_looks_like_it_is_none(text: str) -> None:
    assert heard([("stdout", text)]) == []


def test_a_run_in_parts_is_told_when_no_part_comes_for_a_while() -> None:
    clock = [0.0]
    recogniser = Recogniser(lambda: clock[0])
    part = "running 2 tests\ntest result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n"
    assert [report.type for report in recogniser.feed("stdout", part)] == ["test_run_started"]
    wait = recogniser.wait()
    assert wait is not None
    clock[0] += wait / 2
    assert recogniser.feed("stdout", part) == []
    assert recogniser.wait() == pytest.approx(wait)
    # While a part runs its end is not to be guessed, however long it takes.
    recogniser.feed("stdout", "running 1 test\n")
    assert recogniser.wait() is None
    clock[0] += 1000 * wait
    assert recogniser.flush() == []
    recogniser.feed("stdout", part.partition("\n")[2])
    clock[0] += wait
    assert recogniser.flush() == [
        Report("test_run_completed", TestRunCompleted(command="cargo test", passed=6)),
    ]
    assert recogniser.wait() is None


def test_a_part_that_never_ended_does_not_take_the_others_with_it() -> None:
    told = heard(
        [
            ("stdout", "test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n"),
            ("stdout", "running 1 test\n"),
        ]
    )
    assert [report.type for report in told] == ["test_run_started", "test_run_completed"]


@each_recorded
def test_what_the_agent_reports_itself_is_believed_instead(run: Recorded) -> None:
    recogniser = Recogniser(lambda: 0.0)
    recogniser.reported(Report("test_run_started", TestRunStarted(command="make test")))
    for stream, text in run.texts.items():
        assert recogniser.feed(stream, text) == []
    recogniser.reported(Report("test_run_completed", TestRunCompleted(command="make test")))
    assert recogniser.flush(final=True) == []
