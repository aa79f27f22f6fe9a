"""What a turn of Claude Code has used.

A message's usage is whole in its `message_delta` (the `assistant` message repeats the first snapshot). The result's
`modelUsage` adds up the whole session, also what earlier turns used (seen with Claude Code 2.1.329), and its `usage` is
zero after a request that was repeated without streaming (2.1.197). So the turn's own messages are added up, and
replaced at the end by `model_usage_since_last_result`, which counts subagents and abandoned messages too.
"""

from collections.abc import Mapping
from typing import Any, cast

from cody.contract.usage import Usage

Counts = Mapping[str, Any]

WIRE = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
"""As the API calls them."""
THINKING = "thinking_tokens"
"""The same, within `output_tokens_details`."""
TOTALS = ("inputTokens", "cacheCreationInputTokens", "cacheReadInputTokens", "outputTokens", "thinkingTokens")
"""As Claude Code's result calls them, for each model."""


class TurnUsage:
    """Adds up the messages of one turn."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._streams: dict[str, int] = {}
        self._whole: list[dict[str, int]] = []
        self._final: Usage | None = None

    def began(self, message_id: str, usage: Counts) -> None:
        """The first snapshot of a message that streams; what the one before it had is dropped if it never ended."""
        self._known.add(message_id)
        self._streams = _counted(usage)

    def ended(self, usage: Counts) -> None:
        """The count of the message that streams, which completes its snapshot: what it leaves out has not changed."""
        more = {name: count for name, count in _counted(usage).items() if count}
        self._whole.append({**self._streams, **more})
        self._streams = {}

    def came(self, message_id: str, usage: Counts) -> bool:
        """A message came whole; whether it is counted by that, and not because it streamed."""
        if message_id in self._known:
            return False
        self._known.add(message_id)
        self._whole.append(_counted(usage))
        return True

    def settled(self, result: Mapping[str, Any]) -> None:
        """The turn's result may know better."""
        models = result.get("model_usage_since_last_result")
        if isinstance(models, dict) and models:
            counts = [sum(_count(each, name) for each in cast("dict[str, Counts]", models).values()) for name in TOTALS]
            self._final = _usage(*counts)

    @property
    def total(self) -> Usage | None:
        """The turn so far; None if nothing was used that is known."""
        if self._final is not None:
            return self._final
        if not self._whole:
            return None
        return _usage(*(sum(each.get(name, 0) for each in self._whole) for name in (*WIRE, THINKING)))


def _counted(usage: Counts) -> dict[str, int]:
    """The counts of a message as the API calls them; only those that it tells."""
    counts = {name: _count(usage, name) for name in WIRE if usage.get(name) is not None}
    details = usage.get("output_tokens_details")
    if isinstance(details, dict):
        counts[THINKING] = _count(cast("Counts", details), THINKING)
    return counts


def _count(counts: Counts, name: str) -> int:
    value = counts.get(name)
    return value if isinstance(value, int) and value > 0 else 0


def _usage(fresh: int, cached_anew: int, cached: int, output: int, thinking: int) -> Usage:
    prompt = fresh + cached_anew + cached
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=output,
        total_tokens=prompt + output,
        cached_tokens=cached,
        reasoning_tokens=thinking or None,
    )
