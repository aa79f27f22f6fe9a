"""Patterns that clients send, matched in linear time whatever they are: RE2, and globs on top of it."""

import re
from collections.abc import Sequence
from typing import Any

import re2  # pyright: ignore[reportMissingTypeStubs]

_RE2: Any = re2


class Pattern:
    """A compiled RE2 pattern. Raises ValueError that says what is wrong with it."""

    def __init__(self, text: str) -> None:
        options = _RE2.Options()
        options.log_errors = False
        options.dot_nl = False
        try:
            self._compiled = _RE2.compile(text, options)
        except _RE2.error as error:
            said = error.args[0] if error.args else b"invalid"
            message = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
            raise ValueError(f"not a valid RE2 pattern: {message}") from error

    def search(self, text: str) -> bool:
        """Whether it matches anywhere in `text`, which must be encodable."""
        return self._compiled.search(text) is not None

    def fullmatch(self, text: str) -> bool:
        """Whether it matches all of `text`, which must be encodable."""
        return self._compiled.fullmatch(text) is not None


class Globs:
    """Paths relative to a root, told by globs: `*` and `?` stay in one segment, `**` spans any number of them.

    A glob whose last segment has no wildcard also means everything below it, and so does a `/` at its end.
    """

    def __init__(self, globs: Sequence[str]) -> None:
        self._everything = "**/*" in globs or "**" in globs
        self._pattern = Pattern("(?s)" + "|".join(f"(?:{_usable(glob)})" for glob in globs)) if globs else None

    def match(self, path: str) -> bool:
        """Whether one of the globs means this file."""
        return self._everything or (self._pattern is not None and self._pattern.fullmatch(path))

    def match_all_below(self, directory: str) -> bool:
        """Whether the globs mean everything in this directory, so that nobody need look into it."""
        return self._everything or (self._pattern is not None and self._pattern.fullmatch(directory + "/\0/\0"))


def _usable(glob: str) -> str:
    """The RE2 for a glob; one that makes no sense (`[z-a]`) means itself."""
    translated = _translated(glob)
    try:
        Pattern(translated)
    except ValueError:
        return re.escape(glob)
    return translated


def _translated(glob: str) -> str:
    """The RE2 for a glob. No file's name holds a NUL, so a path of NULs is matched only by what matches anything."""
    glob = glob.removeprefix("./")
    if glob.endswith("/"):
        glob += "**"
    segments = glob.split("/")
    below = "" if any(mark in segments[-1] for mark in "*?[") else "(?:/.*)?"
    parts: list[str] = []
    for index, segment in enumerate(segments):
        last = index == len(segments) - 1
        if segment == "**":
            parts.append(".*" if last else "(?:.*/)?")
        else:
            parts.append(_segment(segment) + ("" if last else "/"))
    return "".join(parts) + below


def _segment(segment: str) -> str:
    out, at = "", 0
    while at < len(segment):
        character = segment[at]
        if character == "*":
            out += r"[^/\x00]*"
            at += len(segment[at:]) - len(segment[at:].lstrip("*"))
            continue
        end = segment.find("]", at + 2)
        if character == "[" and end > 0:
            inside = segment[at + 1 : end]
            negated = inside[:1] in ("!", "^")
            out += f"[{'^/' if negated else ''}{_class(inside[negated:])}]"
            at = end + 1
            continue
        out += r"[^/\x00]" if character == "?" else re.escape(character)
        at += 1
    return out


def _class(inside: str) -> str:
    return re.sub(r"([\\\[\]^&~|])", r"\\\1", inside)
