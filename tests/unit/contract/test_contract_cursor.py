"""Cursors: what parses, what does not, and the arithmetic of epochs."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cody.contract.cursor import START, Cursor, epoch_of, turn_and_attempt
from cody.contract.events import Speaker, TraceContext

NUMBER = st.integers(0, 10**18 - 1)


@given(NUMBER, st.none() | NUMBER)
def test_a_cursor_round_trips(seq: int, epoch: int | None) -> None:
    assert Cursor.parse(str(Cursor(seq, epoch))) == Cursor(seq, epoch)


@given(st.text())
@example("١٢٣")
@example("1-")
@example("-1")
@example("1-2-3")
@example(" 1")
@example("1\n")
@example("+1")
@example("9" * 19)
@example("")
def test_anything_else_is_a_value_error_and_nothing_else(text: str) -> None:
    form = text.split("-")
    good = len(form) <= 2 and all(part.isascii() and part.isdecimal() and len(part) <= 18 for part in form)
    if good:
        Cursor.parse(text)
    else:
        with pytest.raises(ValueError, match="a cursor is"):
            Cursor.parse(text)


@given(st.integers(0, 10**12), st.integers(0, 999))
def test_an_epoch_is_a_turn_and_an_attempt(turn: int, attempt: int) -> None:
    assert turn_and_attempt(epoch_of(turn, attempt)) == (turn, attempt)
    speaker = Speaker(run_id="r", turn=turn, attempt=attempt, trace_context=TraceContext(traceparent="t"))
    assert speaker.epoch == epoch_of(turn, attempt)


def test_examples_of_the_contract() -> None:
    assert Cursor.parse("137-3001") == (137, 3001)
    assert Cursor.parse("137") == (137, None)
    assert str(START) == "0-0"
    assert epoch_of(3, 1) == 3001
