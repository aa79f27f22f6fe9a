"""What a worker keeps to write again: bounded, and never silently."""

from cody.archive.holdings import Holdings
from cody.stream.entry import Entry
from tests.figures import own


def entries(first: int, count: int) -> list[Entry]:
    return [Entry(seq, 1001, "item_delta", b"x" * 10) for seq in range(first, first + count)]


def seqs(holdings: Holdings, run_id: str) -> list[int]:
    return [entry.seq for entry in holdings.of(run_id)[0]]


def test_what_is_over_the_limit_is_let_go_oldest_run_first_and_counted():
    before = own().value("cody_held_dropped_events_total")
    holdings = Holdings(limit_bytes=100)
    holdings.hold("run_quiet", entries(1, 4))
    holdings.hold("run_busy", entries(1, 6))
    assert own().value("cody_held_dropped_events_total") == before
    holdings.hold("run_busy", entries(7, 6))
    assert (seqs(holdings, "run_quiet"), seqs(holdings, "run_busy")) == ([], list(range(3, 13)))
    assert holdings.size == 100
    assert own().value("cody_held_dropped_events_total") == before + 6


def test_what_is_archived_makes_room():
    holdings = Holdings(limit_bytes=100)
    holdings.hold("run_1", entries(1, 10))
    holdings.let_go("run_1", 7, over=False)
    assert (seqs(holdings, "run_1"), holdings.size) == ([8, 9, 10], 30)
    holdings.let_go("run_1", 10, over=True)
    assert (list(holdings.runs), holdings.size) == ([], 0)
