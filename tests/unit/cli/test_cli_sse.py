from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from cody.cli.sse import Frame, FrameParser

TEXT = (
    b": hello\n\nretry: 1500\nid: 1-0\nevent: run_started\ndata: {}\n\n"
    b": keepalive\n\n"
    b'id: 2-1001\r\nevent: item_delta\r\ndata: {"a": "\xc3\xa9"}\r\n\r\n'
    b"id: 3-1001\ndata:one\ndata: two\nunknown: x\n\n"
    b"event: lone\n\n"
    b"id: 4-1001\nevent: half"
)
FRAMES = [
    Frame("1-0", "run_started", "{}"),
    Frame("2-1001", "item_delta", '{"a": "é"}'),
    Frame("3-1001", "message", "one\ntwo"),
]


@given(st.lists(st.integers(0, len(TEXT)), max_size=12))
def test_any_split_gives_the_same_frames(cuts):
    parser = FrameParser()
    frames = []
    places = [0, *sorted(cuts), len(TEXT)]
    for begin, end in pairwise(places):
        frames += parser.feed(TEXT[begin:end])
    assert frames == FRAMES
    assert parser.retry_seconds == 1.5


def test_a_long_frame_in_small_pieces():
    data = b"x" * 200_000
    parser = FrameParser()
    whole = b"id: 1-0\nevent: e\ndata: " + data + b"\n\n"
    frames = [frame for begin in range(0, len(whole), 1000) for frame in parser.feed(whole[begin : begin + 1000])]
    assert frames == [Frame("1-0", "e", data.decode())]
