from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from cody.agents.model.tools.patch.matching import Lines

FEW = st.sampled_from("ab")
"""So few different lines that they repeat."""


def found(lines: Sequence[str], wanted: Sequence[str], start: int) -> int | None:
    """By looking at every place."""
    places = range(start, len(lines) - len(wanted) + 1)
    return next((at for at in places if lines[at : at + len(wanted)] == wanted), None)


def shared(lines: Sequence[str], wanted: Sequence[str], at: int) -> int:
    """How many of the wanted lines stand there."""
    pairs = zip(lines[at:], wanted, strict=False)
    return next(
        (number for number, (one, other) in enumerate(pairs) if one != other), min(len(lines) - at, len(wanted))
    )


@given(st.lists(FEW, max_size=12), st.lists(FEW, min_size=1, max_size=5), st.integers(0, 12))
def test_the_first_place_is_found_wherever_it_is(lines: list[str], wanted: list[str], start: int) -> None:
    assert Lines(lines).find(wanted, start) == found(lines, wanted, start)
    at_end = max(start, len(lines) - len(wanted))
    assert Lines(lines).find(wanted, start, at_end=True) == found(lines, wanted, at_end)


@given(st.lists(FEW, max_size=12), st.lists(FEW, min_size=1, max_size=5))
def test_the_closest_place_has_most_of_the_first_lines(lines: list[str], wanted: list[str]) -> None:
    place, same = Lines(lines).closest(wanted)
    lengths = [shared(lines, wanted, at) for at in range(len(lines))]
    assert same == max(lengths, default=0)
    assert place == (lengths.index(same) if same else 0)


def test_a_search_among_equal_lines_comes_to_an_end() -> None:
    lines = Lines(["same"] * 200_000)
    wanted = [*["same"] * 100_000, "other"]
    assert lines.find(wanted) is None
    assert lines.closest(wanted) == (0, 100_000)
