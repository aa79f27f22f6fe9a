"""The turn of a model behind an API: ask, run the calls of the answer, ask again, until an answer has no calls.

Calls are run one after the other, in the answer's order. Before a tool runs, the start of its output is in the log; so
whatever happens to this worker, no later attempt runs it again. See `steps` for how a later attempt goes on.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Protocol

from cody.agents.base import Job, Quiet, Result, Sink, begin
from cody.agents.keepers import Keepers
from cody.agents.model.conversation import history
from cody.agents.model.items import Items, OutOfOrder
from cody.agents.model.protocol import (
    Entry,
    Kept,
    Provider,
    ProviderFailed,
    ProviderMaker,
    Question,
    ToolSpec,
    UserText,
)
from cody.agents.model.steps import Step, finished_steps
from cody.agents.model.tools.toolbox import Toolbox, ToolOutput
from cody.clock import now_ms
from cody.contract.agents import AnthropicAgent, OpenAIAgent
from cody.contract.errors import MAX_STEPS, ErrorInfo
from cody.contract.items import FunctionCallItem, FunctionCallOutputItem
from cody.contract.payloads import UsageUpdate, Warned
from cody.contract.usage import Usage

MODEL_STOPPED: Final = frozenset({"refusal", "content_filter"})
"""Finish reasons after which the calls of an answer are not run: the provider has ended the turn."""


class Tools(Protocol):
    """The tools of one turn; see `Toolbox`."""

    @property
    def specs(self) -> Sequence[ToolSpec]:
        """What the model is told of them."""
        ...

    @property
    def quiet(self) -> Quiet:
        """What the ends of their processes add up to so far."""
        ...

    async def call(self, name: str, arguments: str) -> ToolOutput:
        """Run one; raises only for bugs. Cancelled, it brings the tool to its end first."""
        ...


class ToolsMaker(Protocol):
    """Makes the tools of a turn."""

    def __call__(self, job: Job, sink: Sink, keepers: Keepers, names: Sequence[str] | None) -> Tools:
        """`names` narrows them."""
        ...


class ModelAgent:
    """Does the turns of models that `make_provider` reaches."""

    def __init__(self, keepers: Keepers, make_provider: ProviderMaker, make_tools: ToolsMaker = Toolbox) -> None:
        self._keepers = keepers
        self._make_provider = make_provider
        self._make_tools = make_tools

    async def run(self, job: Job, sink: Sink) -> Result:
        """Do the turn, see `Agent.run`."""
        spec = job.agent
        if not isinstance(spec, OpenAIAgent | AnthropicAgent):
            raise TypeError(f"an agent of kind {spec.kind} is not a model behind an API")
        begin(job, sink)
        if job.stop.requested.is_set():
            return Result(Quiet(now_ms()), stopped=True)
        tools = self._make_tools(job, sink, self._keepers, spec.tools)
        turn = _Turn(job, spec, sink, self._make_provider(job.connection, job.patience), tools)
        work = asyncio.create_task(turn.run())
        stop = asyncio.create_task(job.stop.requested.wait())
        try:
            await asyncio.wait((work, stop), return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
            work.cancel()
            await asyncio.wait((work, stop))
        return turn.stopped() if work.cancelled() else work.result()


class _Turn:
    """One attempt at a turn."""

    def __init__(
        self, job: Job, spec: OpenAIAgent | AnthropicAgent, sink: Sink, provider: Provider, tools: Tools
    ) -> None:
        self._job = job
        self._spec = spec
        self._sink = sink
        self._provider = provider
        self._tools = tools
        self._items = Items(sink, sink.ready)
        self._entries: list[Entry] = []
        self._usage: Usage | None = None

    async def run(self) -> Result:
        """To the turn's end or the provider's failure; cancelled when it is to stop."""
        try:
            reason = await self._converse()
        except (ProviderFailed, OutOfOrder) as failed:
            self._items.fail_open(failed.error)
            return self._result(error=failed.error)
        else:
            return self._result(finish_reason=reason)
        finally:
            await self._provider.close()

    def stopped(self) -> Result:
        """Say of what was under way that it will not be finished."""
        self._items.cancel_open("the turn was stopped")
        return self._result(stopped=True)

    def _result(self, *, error: ErrorInfo | None = None, stopped: bool = False, finish_reason: str = "stop") -> Result:
        quiet = replace(self._tools.quiet, at=now_ms())
        return Result(quiet, error=error, stopped=stopped, finish_reason=finish_reason, usage=self._usage)

    async def _converse(self) -> str:
        """The turn's finish reason."""
        steps = await self._recall()
        for step in steps:
            await self._retell(step)
        answers, last = len(steps), steps[-1] if steps else None
        # Why an answer of an earlier attempt ended is not in the log.
        reason = "stop"
        while last is None or last.calls:
            if last is not None:
                if (end := self._end(reason, answers)) is not None:
                    self._decline(last.unanswered, end)
                    return end
                for call in last.unanswered:
                    await self._run_tool(call)
            last, reason = await self._ask()
            answers += 1
        return "stop" if reason == "tool_calls" else reason

    async def _recall(self) -> list[Step]:
        """What the conversation was before, and what earlier attempts of this turn finished."""
        memory = self._job.memory
        self._entries += [*history(await memory.thread()), UserText(self._job.prompt)]
        if self._job.attempt == 1:
            return []
        # Once our first word is in the log, no older attempt can begin anything that is not there to be read.
        await self._settled()
        return finished_steps(await memory.attempts())

    async def _retell(self, step: Step) -> None:
        """A finished step belongs to this attempt's response too; its tokens were counted where they were used."""
        for kept in step.said:
            self._items.tell(kept.item, kept.replay)
        self._mark(Usage())
        for kept in step.outputs:
            self._items.tell(kept.item)
        self._entries += [*step.said, *step.outputs]
        self._items.take()
        await self._items.ready()

    async def _ask(self) -> tuple[Step, str]:
        """One answer of the model, and why it ended."""
        spec = self._spec
        question = Question(
            model=spec.model,
            instructions=spec.instructions,
            entries=tuple(self._entries),
            tools=self._tools.specs,
            thinking_budget=spec.thinking_budget if isinstance(spec, AnthropicAgent) else None,
        )
        answer = await self._provider.answer(question, self._items)
        self._usage = _sum(self._usage, answer.usage)
        self._mark(self._usage or Usage())
        said = [Kept(item, replay) for item, replay in self._items.take()]
        self._entries += said
        return Step(said), answer.finish_reason

    def _mark(self, usage: Usage) -> None:
        """After an answer's items: it is whole. `usage` is this attempt's so far."""
        self._sink.emit("usage_update", UsageUpdate(response_id=self._job.response_id, usage=usage))

    def _end(self, reason: str, answers: int) -> str | None:
        """The finish reason if the turn ends here although the model wants more."""
        if reason in MODEL_STOPPED:
            return reason
        if answers < self._spec.max_steps:
            return None
        message = f"the model wants to go on, but max_steps ({self._spec.max_steps}) answers were given"
        self._sink.emit("warning", Warned(code=MAX_STEPS, message=message))
        return MAX_STEPS

    def _decline(self, calls: Sequence[FunctionCallItem], reason: str) -> None:
        for call in calls:
            key = self._begin_output(call)
            self._finish_output(key, call, ToolOutput(f"not run: the turn ended ({reason})", success=False))

    async def _run_tool(self, call: FunctionCallItem) -> None:
        key = self._begin_output(call)
        await self._settled()
        self._finish_output(key, call, await self._tools.call(call.name, call.arguments))
        await self._items.ready()

    def _begin_output(self, call: FunctionCallItem) -> str:
        key = f"output of {call.id}"
        self._items.start(key, f"{call.call_id}_output", "function_call_output", call_id=call.call_id)
        return key

    def _finish_output(self, key: str, call: FunctionCallItem, output: ToolOutput) -> None:
        item = FunctionCallOutputItem(id=key, call_id=call.call_id, output=output.text, success=output.success)
        self._entries.append(Kept(self._items.done(key, item)))
        self._items.take()

    async def _settled(self) -> None:
        """Return once all that was said is in the log; if the turn is to stop first, wait for that to happen."""
        if not await self._sink.settled():
            await asyncio.get_running_loop().create_future()


def _sum(total: Usage | None, more: Usage | None) -> Usage | None:
    """Both together; a count that neither tells stays untold."""
    if total is None or more is None:
        return total or more

    def both(one: int | None, other: int | None) -> int | None:
        return None if one is None and other is None else (one or 0) + (other or 0)

    return Usage(
        prompt_tokens=total.prompt_tokens + more.prompt_tokens,
        completion_tokens=total.completion_tokens + more.completion_tokens,
        total_tokens=total.total_tokens + more.total_tokens,
        cached_tokens=both(total.cached_tokens, more.cached_tokens),
        reasoning_tokens=both(total.reasoning_tokens, more.reasoning_tokens),
    )
