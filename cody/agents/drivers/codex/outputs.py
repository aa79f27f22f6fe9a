"""What the tools of Codex answer: the text without Codex's wrapping, and whether it went well."""

import re
from typing import Final, NamedTuple

_EXIT: Final = re.compile(r"^(?:Process exited with code|Exit code:) (-?\d+)$", re.MULTILINE)
_HEAD: Final = re.compile(
    r"\A(?:(?:Chunk ID|Wall time|Process exited with code|Process running with session ID|Exit code|"
    r"Original token count|Total output lines)\b[^\n]*\n)+Output:\n"
)
_FAULT: Final = re.compile(
    r"(?:unsupported call|failed to parse|patch rejected|aborted|\w+ (?:verification )?failed)\b"
)
"""How Codex begins what it says itself instead of a tool."""
_UNAVAILABLE: Final = re.compile(r"\w+ is unavailable in ")
_ABORTED: Final = re.compile(r"Wall time: [^\n]*\naborted by user\Z")


class Answer(NamedTuple):
    """A tool's answer."""

    text: str
    success: bool
    ran: bool = False
    """It is what a program printed."""
    running: bool = False
    """And the program goes on."""


def answer_of(text: str) -> Answer:
    """Read the text that the model gets for an answer."""
    head = _HEAD.match(text)
    if head is None:
        faults = (_FAULT, _UNAVAILABLE, _ABORTED)
        return Answer(text, success=not any(fault.match(text) for fault in faults))
    code = _EXIT.search(head[0])
    running = "Process running" in head[0]
    return Answer(text[head.end() :], code is None or code[1] == "0", ran=True, running=running)
