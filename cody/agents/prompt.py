"""The prompt of a continuous run's turn, built anew for each: template, state, reference, and the call to begin."""

from pathlib import Path

from cody.agents.confined import open_inside
from cody.contract.requests import PromptSpec

CURRENT_STATE = "=== CURRENT STATE ==="
REFERENCE = "=== REFERENCE ==="
BEGIN_WORK = "=== BEGIN WORK ==="
MAX_FILE = 16 * 1024 * 1024
"""Bytes of one file: more is no prompt, and would fill the worker's memory."""

_NO_NUL = "\ufffd"
"""Stands for a NUL, which is UTF-8 but no text to a database or to a provider."""


class PromptError(Exception):
    """A file of the prompt cannot be read: `path` as the request names it; the message names it too."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path


def build(root: Path | None, spec: PromptSpec) -> str:
    """The prompt, from files below `root`. A state file that is missing is skipped. Raises PromptError.

    Blocking: it reads files.
    """
    parts = [spec.template.rstrip("\n")] if spec.template.strip() else []
    if spec.state_files:
        parts += [CURRENT_STATE, *_sections(root, spec.state_files, skip_missing=True)]
    if spec.reference_files:
        parts += [REFERENCE, *_sections(root, spec.reference_files, skip_missing=False)]
    return "\n\n".join([*parts, BEGIN_WORK]) + "\n"


def _sections(root: Path | None, paths: list[str], *, skip_missing: bool) -> list[str]:
    sections: list[str] = []
    for path in paths:
        text = _text(root, path, skip_missing=skip_missing)
        if text is not None:
            sections.append(f"## {path}\n\n{text.rstrip()}".rstrip())
    return sections


def _text(root: Path | None, path: str, *, skip_missing: bool) -> str | None:
    if root is None:
        raise PromptError(path, "cannot be read without a working directory")
    try:
        with open_inside(root, path) as file:
            data = file.read(MAX_FILE + 1)
    except FileNotFoundError as error:
        if skip_missing:
            return None
        raise PromptError(path, "does not exist") from error
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of symlinks, until Python 3.13
        raise PromptError(path, f"cannot be read ({getattr(error, 'strerror', None) or error})") from error
    if len(data) > MAX_FILE:
        raise PromptError(path, f"is longer than {MAX_FILE} bytes")
    try:
        return data.decode().replace("\0", _NO_NUL)
    except UnicodeDecodeError as error:
        raise PromptError(path, f"is not UTF-8 (byte {error.start})") from error
