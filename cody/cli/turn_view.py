"""What a person wants to know of the turn that is under way, gathered from its events."""

from dataclasses import dataclass, field

from cody.cli.phrases import count, duration, joined, tests
from cody.contract import payloads as p
from cody.fold import Tally

FILES_SHOWN = 12
"""Lines about files in one turn; the rest is counted, so that a big checkout does not bury the agent's words."""


@dataclass
class TurnView:
    """One attempt at a turn, as far as it was seen."""

    turn: int = 0
    started_at: int | None = None
    speaks_on_stdout: bool = False
    """A `command` agent: its message repeats the stdout that was already shown."""
    tests: p.TestRunCompleted | None = None
    heard: dict[str, str] = field(default_factory=dict[str, str])
    """Items whose text is shown as it comes, and its style; their whole is not shown again."""
    tally: Tally = field(default_factory=Tally)
    _files: dict[str, str] = field(default_factory=dict[str, str])

    def file(self, verb: str, path: str) -> bool:
        """Note a file; true if a line about it should be shown."""
        known = self._files.get(path) == verb
        self._files[path] = verb
        return not known and len(self._files) <= FILES_SHOWN

    def summary(self, ended_at: int) -> str:
        """Duration, tokens and tests on one line."""
        tokens = self.tally.total.total_tokens
        more = len(self._files) - FILES_SHOWN
        return joined(
            duration(ended_at - self.started_at) if self.started_at else None,
            count(tokens, "token") if tokens else None,
            f"tests {tests(self.tests)}" if self.tests else None,
            f"{count(more, 'more file')} touched" if more > 0 else None,
        )
