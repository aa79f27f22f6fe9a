"""The short form of `make chaos`: every fault once under load, on each database. Drawn anew from a fixed seed."""

from pathlib import Path

import pytest

from tests.chaos.ground import DatabaseKind, ground
from tests.chaos.leaks import Levels
from tests.chaos.round import play_round
from tests.chaos.schedule import short_form

SEED = "short form"


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_nothing_is_lost_whatever_fails(tmp_path: Path, kind: DatabaseKind):
    said: list[str] = []
    with ground(tmp_path, kind, SEED) as it:
        play_round(it, short_form(SEED, kind), SEED, Levels(it), said.append)
