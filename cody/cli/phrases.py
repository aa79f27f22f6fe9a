"""Numbers, durations and foreign text as a person reads them in a terminal."""

import re

from cody.contract.payloads import TestRunCompleted

_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor movement
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC: titles, links
    r"|\x1b[ -/]*[0-~]"  # every other escape
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def clean(text: str) -> str:
    """Text of an agent without what would move the cursor or change the terminal."""
    return _CONTROLS.sub("", _ESCAPES.sub("", text).replace("\r\n", "\n").replace("\r", "\n"))


def one_line(text: str, limit: int = 100) -> str:
    """Text on one line, cut with an ellipsis."""
    flat = " ".join(clean(text).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """`1 turn`, `2 turns`, `1,234 tokens`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def duration(milliseconds: int) -> str:
    """`340 ms`, `1.2 s`, `2 min 5 s`, `3 h 20 min`."""
    seconds = max(milliseconds, 0) / 1000
    if seconds < 1:
        return f"{round(seconds * 1000)} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def tests(result: TestRunCompleted) -> str:
    """`3 passed, 1 failed`; zeros are left out where something else is to say."""
    parts = [
        f"{number:,} {word}"
        for number, word in ((result.passed, "passed"), (result.failed, "failed"), (result.skipped, "skipped"))
        if number
    ]
    return ", ".join(parts) or "none ran"


def joined(*parts: str | None) -> str:
    """The parts that there are, with a middle dot between them."""
    return " · ".join(part for part in parts if part)
