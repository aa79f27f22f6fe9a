"""The commands that Codex runs: their live output, throttled over all of them, and the test runs in it."""

from cody.agents.drivers.codex.ear import Told
from cody.agents.output import Throttle
from cody.agents.recognise import Recogniser
from cody.agents.reports import Report

MAX_STREAMED = 1 << 20
"""Characters of a command's live output that are remembered, to know what of its whole output was not live."""


class Commands:
    """All commands of a turn; each is known by its call id."""

    def __init__(self, told: Told, throttle: Throttle) -> None:
        self._told = told
        self._throttle = throttle
        self._running: dict[str, _Command] = {}

    def start(self, call_id: str, command: str) -> None:
        """A command begins."""
        if call_id not in self._running:
            self._running[call_id] = _Command()
            self._told.keep(f"$ {command}\n")

    def running(self, call_id: str) -> bool:
        """Whether it has begun, and not ended yet."""
        return call_id in self._running

    def output(self, call_id: str, text: str) -> None:
        """It printed this."""
        command = self._running.setdefault(call_id, _Command())
        command.streamed = (command.streamed + text)[: MAX_STREAMED + 1]  # one more says that it is not all
        self._hear(command, text)

    def finish(self, call_id: str, whole: str) -> None:
        """It ended; `whole` is all of its output, as much as Codex kept.

        Not all of that came live: Codex begins to listen some milliseconds after a command has begun. What came before
        is told now, and that it comes late is better than that it is missing.
        """
        command = self._running.pop(call_id, None) or _Command()
        if len(command.streamed) <= MAX_STREAMED and command.streamed in whole:
            before, _, after = whole.partition(command.streamed) if command.streamed else ("", "", whole)
            self._say(before)
            self._hear(command, after)
        self._close(command)

    def flush(self) -> None:
        """Tell what is due."""
        for command in self._running.values():
            self._report(command.recogniser.flush())
        while event := self._throttle.take():
            self._told.emit("subprocess_output", event)

    def wait(self) -> float | None:
        """Seconds until something is due; None while nothing waits."""
        waits = [self._throttle.wait(), *(command.recogniser.wait() for command in self._running.values())]
        return min((wait for wait in waits if wait is not None), default=None)

    def close(self) -> None:
        """The turn has ended, and with it what still runs."""
        for command in self._running.values():
            self._close(command)
        self._running.clear()
        for event in self._throttle.finish():
            self._told.emit("subprocess_output", event)

    def _hear(self, command: "_Command", text: str) -> None:
        self._say(text)
        if text:
            self._report(command.recogniser.feed("stdout", text))

    def _say(self, text: str) -> None:
        if text:
            self._told.keep(text)
            self._throttle.feed(text.encode())
            self.flush()

    def _close(self, command: "_Command") -> None:
        self._report(command.recogniser.finish("stdout"))
        self._report(command.recogniser.flush(final=True))

    def _report(self, reports: list[Report]) -> None:
        for report in reports:
            self._told.emit(report.type, report.payload)


class _Command:
    """One of them: commands that run side by side are no one text."""

    def __init__(self) -> None:
        self.recogniser = Recogniser()
        self.streamed = ""
