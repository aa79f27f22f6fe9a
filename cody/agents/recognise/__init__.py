"""Recognises test runs in what an agent prints: pytest, vitest, jest, bun test, cargo test and go test.

`recogniser` has what is common, and each runner a file that says how it writes. Real outputs of each, with the events
they are to give, are in `fixtures/test_runs`.
"""

from cody.agents.recognise.recogniser import Recogniser
from cody.agents.recognise.runner import HOLD_SECONDS

__all__ = ["HOLD_SECONDS", "Recogniser"]
