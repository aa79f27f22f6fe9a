"""How long a run waits between a turn's failure and its next attempt."""

from typing import Any

import pytest

from cody.contract.errors import ErrorInfo
from workflows.verdict import back_off


def error(**details: Any) -> ErrorInfo:
    return ErrorInfo(code="rate_limit_exceeded", message="Slow down.", retryable=True, details=details)


def test_the_back_off_doubles_up_to_a_minute():
    assert [back_off(failures, None) for failures in (1, 2, 3, 6, 7, 8, 900)] == [1, 2, 4, 32, 60, 60, 60]


@pytest.mark.parametrize(
    ("failures", "wish", "seconds"),
    [(1, 7, 7), (1, 0.5, 1), (4, 7.5, 8), (1, 300, 300), (9, 30, 60), (1, 86_400, 900), (1, float("inf"), 900)],
)
def test_a_provider_is_not_asked_sooner_than_it_says_within_reason(failures: int, wish: float, seconds: float):
    assert back_off(failures, error(retry_after_seconds=wish)) == seconds


@pytest.mark.parametrize("wish", ["7", None, -7, float("nan"), float("-inf")])
def test_a_wish_that_makes_no_sense_changes_nothing(wish: Any):
    assert back_off(2, error(retry_after_seconds=wish)) == 2
