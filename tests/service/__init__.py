"""A real `cody dev` for tests, and a client of it: start runs, wait for them, follow their streams byte for byte.

The fixture `service` (`tests/e2e/conftest.py`) gives one to all end-to-end tests; `running` gives one of your own, for
tests that need other settings or break it for good::

    def test_it(service):
        run = service.start("echo hello", max_turns=2)  # a script for sh; or a list: the command itself
        assert run.wait("completed")["stats"]["turns"] == 2
        assert [event["type"] for event in run.events()][-1] == "run_completed"

Everything is synchronous; use threads for many clients at once. Every wait has a deadline and fails loudly.
"""

from tests.parts import eventually
from tests.service.dev import CODY, free_ports
from tests.service.frames import Frame, Stream
from tests.service.run import ENDED, Run
from tests.service.service import Service, running

__all__ = ["CODY", "ENDED", "Frame", "Run", "Service", "Stream", "eventually", "free_ports", "running"]
