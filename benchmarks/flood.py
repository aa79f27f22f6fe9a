"""A command agent that waits for a word and then prints telemetry as fast as its pipe takes it."""

import json
import os
import sys
import threading

from tests.service import Run, Service

MARK = "event: response_done"
"""What follows the last line of a flood in its run's log."""
_LINE = {"__cody_event__": {"type": "warning", "code": "flood", "message": "x" * 100}}
_AGENT = f"""
import sys
flood = ({json.dumps(json.dumps(_LINE))} + "\\n") * int(sys.argv[1])
open("go").read()
sys.stdout.write(flood)
"""
_PATIENCE_SECONDS = 60.0


class Flood:
    """A run whose agent stands before its flood of `events`."""

    def __init__(self, service: Service, events: int) -> None:
        place = service.workspace()
        self._go = place / "go"
        os.mkfifo(self._go)
        options = {"working_dir": str(place), "watch": {"exclude": ["go"]}}
        self.run: Run = service.start([sys.executable, "-c", _AGENT, str(events)], **options)
        self._opened = threading.Event()
        self._word = threading.Event()
        self._thread = threading.Thread(target=self._hold, daemon=True)
        self._thread.start()
        if not self._opened.wait(_PATIENCE_SECONDS):
            raise RuntimeError("the flood's agent does not begin")

    def go(self) -> None:
        """Let it go; and any attempt that comes after it, if its worker is lost."""
        self._word.set()
        self._thread.join()
        self._go.unlink()
        self._go.touch()

    def _hold(self) -> None:
        # Opening blocks until the agent opens the other end: it is there, and has nothing else to do.
        with self._go.open("w"):
            self._opened.set()
            self._word.wait()
