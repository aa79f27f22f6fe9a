from hypothesis import given
from hypothesis import strategies as st

from cody.agents.base import OutputLimits
from cody.agents.output import Decoder, Tail, Throttle
from cody.contract.payloads import SubprocessOutput


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


TEXT = st.text(st.sampled_from("aäß€😀\n"), max_size=300)


@given(
    st.lists(st.tuples(TEXT, st.floats(0, 0.6)), max_size=40),
    st.integers(4, 60),
    st.integers(2, 12),
)
def test_nothing_is_lost_count_of_and_no_second_has_too_many(
    steps: list[tuple[str, float]], max_bytes: int, per_second: int
) -> None:
    clock = Clock()
    throttle = Throttle("stdout", OutputLimits(max_bytes, per_second), clock)
    events: list[tuple[float, SubprocessOutput]] = []
    raw = 0
    for text, pause in steps:
        raw += len(text.encode())
        throttle.feed(text.encode())
        while event := throttle.take():
            events.append((clock.now, event))
        waits = throttle.wait()
        assert waits is None or 0 < waits <= 1.1
        clock.now += pause
    events += [(clock.now, event) for event in throttle.finish()]

    assert sum(len(event.text.encode()) + event.omitted_bytes for _, event in events) == raw
    assert all(0 < len(event.text.encode()) <= max_bytes for _, event in events)
    times = [at for at, _ in events]
    assert all(later - at >= 1.0 for at, later in zip(times, times[per_second:], strict=False))
    assert throttle.wait() is None


@given(TEXT, st.integers(4, 60))
def test_what_is_shown_and_what_is_omitted_stand_in_their_places(text: str, max_bytes: int) -> None:
    throttle = Throttle("stdout", OutputLimits(max_bytes, 3), Clock())
    throttle.feed(text.encode())
    events = []
    while event := throttle.take():
        events.append(event)
    events += throttle.finish()
    at, data = 0, text.encode()
    for event in events:
        at += event.omitted_bytes
        assert data[at:].startswith(event.text.encode())
        at += len(event.text.encode())
    assert at == len(data)


def test_the_first_event_leaves_at_once_and_the_end_is_always_shown() -> None:
    clock = Clock()
    throttle = Throttle("stderr", OutputLimits(8, 3), clock)
    throttle.feed(b"first")
    assert throttle.take() == SubprocessOutput(stream="stderr", text="first")
    throttle.feed(b"x" * 1000 + b"the last")
    while throttle.take():
        pass
    last = throttle.finish()[-1]
    assert last.text == "the last"


def test_what_waits_leaves_when_its_time_comes() -> None:
    clock = Clock()
    throttle = Throttle("stdout", OutputLimits(4, 3), clock)
    throttle.feed(b"aaaabbbbcccc")
    texts = []
    for _ in range(4):
        while event := throttle.take():
            texts.append(event.text)
        clock.now += throttle.wait() or 0
    assert texts == ["aaaa", "bbbb", "cccc"]
    assert throttle.wait() is None


@given(TEXT, st.integers(1, 7))
def test_the_decoder_gives_whole_characters_however_they_come(text: str, size: int) -> None:
    data, decoder = text.encode(), Decoder()
    parts = [decoder.feed(data[at : at + size]) for at in range(0, len(data), size)]
    assert "".join(parts) + decoder.finish() == text


def test_the_decoder_replaces_what_is_not_utf_8() -> None:
    decoder = Decoder()
    assert decoder.feed(b"a\xffb\xe2\x82") + decoder.finish() == "a\ufffdb\ufffd"


@given(st.lists(TEXT, max_size=20), st.integers(1, 50))
def test_the_tail_is_the_last_whole_characters(texts: list[str], size: int) -> None:
    tail = Tail(size)
    for text in texts:
        tail.feed(text.encode())
    whole = "".join(texts)
    kept = tail.text()
    assert whole.endswith(kept)
    assert len(kept.encode()) <= size
    longer = whole[len(whole) - len(kept) - 1 :] if len(kept) < len(whole) else None
    assert longer is None or len(longer.encode()) > size
