"""The small form of every case: counts, order and equality, never times."""

from collections.abc import Generator

import pytest

from tests.scale.cases import CASES, ENV
from tests.service import Service, running


@pytest.fixture(scope="module")
def own_service(tmp_path_factory: pytest.TempPathFactory) -> Generator[Service]:
    with running(tmp_path_factory.mktemp("scale"), ENV) as service:
        yield service


@pytest.mark.parametrize("name", CASES)
def test_a_small_form_keeps_its_promises(own_service: Service, name: str):
    assert CASES[name].take(own_service, small=True).broken == []
