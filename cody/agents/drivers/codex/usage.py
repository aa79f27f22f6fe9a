"""What a turn of Codex has spent: Codex tells each answer's tokens (`last`) and the thread's (`total`)."""

from collections.abc import Mapping
from typing import Any

from cody.contract.usage import Usage


class Spent:
    """Adds up the answers of one turn, those of its sub-agents too.

    Codex's own sums cannot be used: `total` is of the whole thread, over all of its turns, and where a context is full
    it is set to the size of that.
    """

    def __init__(self) -> None:
        self._totals: dict[str, Mapping[str, Any]] = {}
        self._sum = Usage(cached_tokens=0, reasoning_tokens=0)
        self._any = False

    def add(self, thread_id: str, told: Mapping[str, Any]) -> bool:
        """A `tokenUsage` of a thread; False if it says nothing new."""
        last, total = told["last"], told["total"]
        if self._totals.get(thread_id) == total or not (last["inputTokens"] or last["outputTokens"]):
            return False
        self._totals[thread_id] = total
        prompt = self._sum.prompt_tokens + last["inputTokens"]
        completion = self._sum.completion_tokens + last["outputTokens"]
        self._sum = Usage(
            prompt_tokens=prompt,
            completion_tokens=completion,
            total_tokens=prompt + completion,
            cached_tokens=(self._sum.cached_tokens or 0) + last["cachedInputTokens"],
            reasoning_tokens=(self._sum.reasoning_tokens or 0) + last["reasoningOutputTokens"],
        )
        self._any = True
        return True

    @property
    def usage(self) -> Usage:
        """The sum so far."""
        return self._sum

    @property
    def known(self) -> Usage | None:
        """The sum, None if nothing was told."""
        return self._sum if self._any else None
