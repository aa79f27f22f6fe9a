from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cody.agents.model.tools.reading import portion
from cody.agents.model.tools.tool import Refusal
from cody.agents.model.tools.transcript import Transcript

LINE = st.text(st.sampled_from("aä€😀 "), max_size=12).map(str.encode)


@given(st.lists(LINE, max_size=20), st.booleans(), st.integers(1, 5), st.integers(1, 40))
def test_portions_one_after_the_other_are_the_file(lines: list[bytes], ended: bool, limit: int, max_bytes: int) -> None:
    data = b"\n".join(lines) + (b"\n" if ended and lines else b"")
    whole = data.splitlines(keepends=True)
    read: list[bytes] = []
    first = 1
    while True:
        found = portion(BytesIO(data), first, limit, max_bytes)
        assert len(found.data) <= max_bytes
        assert found.lines <= limit
        given_lines = whole[first - 1 : first - 1 + found.lines]
        if found.cut:
            assert (found.lines, found.data) == (1, given_lines[0][:max_bytes])
        else:
            assert found.data == b"".join(given_lines)
        read += given_lines
        first += found.lines
        if not found.more:
            break
        assert found.lines
    assert read == whole


@pytest.mark.parametrize(("data", "lines"), [(b"", 0), (b"a", 1), (b"a\nb", 2), (b"a\nb\n", 2)])
def test_an_offset_beyond_the_end_is_told_how_many_lines_there_are(data: bytes, lines: int) -> None:
    with pytest.raises(Refusal, match=f"the file has {lines} lines"):
        portion(BytesIO(data), lines + 2 if not lines else lines + 1, 10, 100)


@given(st.lists(st.text(st.sampled_from("aä€😀\n"), max_size=30), max_size=20), st.integers(1, 60), st.integers(4, 60))
def test_a_transcript_is_the_text_or_its_two_ends_and_counts_what_is_missing(
    pieces: list[str], head: int, tail: int
) -> None:
    transcript = Transcript(head, tail)
    for piece in pieces:
        transcript.feed(piece)
    whole, text = "".join(pieces), transcript.text()
    if len(whole.encode()) <= min(head, tail):
        assert text == whole
    if text == whole:
        return
    begin, _, rest = text.partition("\n[… ")
    missing, _, end = rest.partition(" bytes of output are left out here …]\n")
    assert whole.endswith(end)
    assert whole.startswith(begin)
    assert len(begin.encode()) <= head
    assert len(end.encode()) <= tail
    # A line end before the note stands for the one that the head ended with.
    assert len(whole.encode()) - len(begin.encode()) - len(end.encode()) - int(missing) in (0, 1)
