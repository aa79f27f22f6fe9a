"""What a telemetry line says: forgiving about spelling, strict about meaning, and never more than a warning."""

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, cast

from pydantic import ValidationError
from pydantic_core import from_json

from cody.contract.errors import INVALID_TELEMETRY
from cody.contract.events import PAYLOADS, TELEMETRY
from cody.contract.payloads import Payload, TokenUsage, Warned

KEY = "__cody_event__"
SHOWN = 200
MAX_TAIL = 20
MAX_NUMBER = 2**53
"""What every reader of JSON holds exactly."""
PATH_TYPES = frozenset({"file_read", "file_written", "file_deleted", "log_updated"})
TOKEN_NAMES = {"input_tokens": "prompt_tokens", "output_tokens": "completion_tokens"}

Roots = tuple[Path, ...]
"""The names of the working directory: as it was given, and without symlinks. None for an agent without one."""

_TEXTS = frozenset({"type", "path", "kind", "code", "message", "command", "source", "line"})
"""Fields of one word that hold text: a body of these alone, as most are, has nothing to be spelled or bounded."""
_VALIDATORS = {type_: PAYLOADS[type_].__pydantic_validator__ for type_ in TELEMETRY}
"""What `model_validate` calls, without what that does for arguments which are not given: half of its time."""
_HUMP = re.compile(r"(?<=[a-z0-9])([A-Z])")


class Report(NamedTuple):
    """An event that the agent told about itself, or the warning that it could not be understood."""

    type: str
    payload: Payload


class _InvalidError(Exception):
    """Why a line is not valid telemetry."""


def understand(line: bytes, roots: Roots) -> Report:
    """The report in a telemetry line; paths become relative to the working directory, by whichever name it has."""
    try:
        return _report(line, roots)
    except _InvalidError as fault:
        shown = line[:SHOWN].decode(errors="replace").strip()
        return Report("warning", Warned(code=INVALID_TELEMETRY, message=f"{fault}; the line begins: {shown}"))


def too_long(line: bytes, limit: int) -> Report:
    """The warning about a line that is over `limit` bytes; the line itself goes on as text."""
    shown = line[:SHOWN].decode(errors="replace")
    message = f"a telemetry line is longer than {limit} bytes and was taken for text; the line begins: {shown}"
    return Report("warning", Warned(code=INVALID_TELEMETRY, message=message))


def _report(line: bytes, roots: Roots) -> Report:
    try:
        said: Any = from_json(line)
    except ValueError as error:
        raise _InvalidError(f"telemetry must be one line of JSON in UTF-8 ({error})") from error
    body = cast("Any", said.get(KEY)) if isinstance(said, dict) else None  # pyright: ignore[reportUnknownMemberType]
    if not isinstance(body, dict):
        raise _InvalidError(f'"{KEY}" must be an object with a "type"')
    fields = cast("dict[str, Any]", body if body.keys() <= _TEXTS else _snake(body))
    type_ = fields.pop("type", None)
    type_ = _snake_name(type_) if isinstance(type_, str) else type_
    if not isinstance(type_, str) or type_ not in TELEMETRY:
        raise _InvalidError(f"unknown telemetry type {type_!r}, known are {', '.join(sorted(TELEMETRY))}")
    nested = fields.pop("payload", None)
    if isinstance(nested, dict):
        fields |= cast("dict[str, Any]", nested)
    return Report(type_, _payload(type_, fields, roots))


def _payload(type_: str, fields: dict[str, Any], roots: Roots) -> Payload:
    if type_ == "token_usage":
        fields = _tokens(fields)
    elif type_ == "completion_detected":
        fields.setdefault("source", "agent")
    if type_ in PATH_TYPES and isinstance(fields.get("path"), str):
        fields["path"] = _relative(fields["path"], roots)
    if type_ == "log_updated":
        _log(fields)
    try:
        payload = _VALIDATORS[type_].validate_python(fields)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()[:5])
        raise _InvalidError(f"{type_} is not valid ({faults})") from error
    return _summed(payload) if type_ == "token_usage" else payload


def _snake_name(name: str) -> str:
    if name.islower():  # as almost all are: no hump, and no pattern to search
        return name
    return _HUMP.sub(r"_\1", name).lower()


def _snake(value: Any) -> Any:
    """The same with every key in snake_case; what no event's JSON could hold is not valid."""
    if isinstance(value, dict):
        pairs = cast("Mapping[str, Any]", value).items()
        return {_snake_name(key): _snake(each) for key, each in pairs}
    if isinstance(value, int) and abs(value) > MAX_NUMBER:
        raise _InvalidError(f"a number is larger than {MAX_NUMBER}")
    return [_snake(each) for each in cast("list[Any]", value)] if isinstance(value, list) else value


def _tokens(fields: dict[str, Any]) -> dict[str, Any]:
    known = {TOKEN_NAMES.get(name, name): value for name, value in fields.items() if value is not None}
    if not known.keys() & {"prompt_tokens", "completion_tokens", "total_tokens"}:
        raise _InvalidError("token_usage needs prompt_tokens and completion_tokens (or input_tokens and output_tokens)")
    return known


def _summed(count: TokenUsage) -> TokenUsage:
    """With the sum of both where the agent did not tell it."""
    if "total_tokens" in count.model_fields_set:
        return count
    return count.model_copy(update={"total_tokens": count.prompt_tokens + count.completion_tokens})


def _log(fields: dict[str, Any]) -> None:
    """A log without a name is called by its path; a tail may be one text, and is at most 20 lines."""
    fields.setdefault("kind", fields.get("path"))
    delta = fields.get("delta")
    if isinstance(delta, dict):
        tail: Any = cast("dict[str, Any]", delta).get("tail", [])
        lines = tail.splitlines() if isinstance(tail, str) else tail
        fields["delta"] = {**delta, "tail": lines[-MAX_TAIL:] if isinstance(lines, list) else lines}


def _relative(path: str, roots: Roots) -> str:
    """The path inside the working directory; a path outside of it is kept out."""
    if "\0" in path:
        raise _InvalidError("a path cannot hold a NUL")
    pure = PurePosixPath(path)
    if pure.is_absolute():
        for base in roots:
            if pure.is_relative_to(base):
                pure = pure.relative_to(base)
                break
    parts: list[str] = []
    for part in pure.parts:
        if part != "..":
            parts.append(part)
        elif parts:
            parts.pop()
        else:
            raise _InvalidError(f"the path {path[:SHOWN]!r} is outside of the working directory")
    if pure.is_absolute() or not parts:
        raise _InvalidError(f"the path {path[:SHOWN]!r} is not that of a file in the working directory")
    return "/".join(parts)
