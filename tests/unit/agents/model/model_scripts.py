"""A provider that plays a script of answers, and tools that note what they did: what a turn of a model meets."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cody.agents.base import Job, Patience, Quiet, Sink
from cody.agents.connections import Connection
from cody.agents.keepers import Keepers
from cody.agents.model.items import Items
from cody.agents.model.loop import ModelAgent
from cody.agents.model.protocol import Answer, Kept, Provider, Question, ToolSpec
from cody.agents.model.tools.toolbox import ToolOutput
from cody.contract.items import FunctionCallItem, MessageItem, ReasoningItem
from cody.contract.usage import Usage

TOKENS = Usage(prompt_tokens=3, completion_tokens=2, total_tokens=5)
REPLAY = {"provider": "scripted", "secret": "x"}


@dataclass(frozen=True)
class Scripted:
    """An answer: `calls` are the arguments of its calls, which name them."""

    text: str
    calls: tuple[str, ...] = ()
    finish_reason: str | None = None
    fails: Exception | None = None
    """Raised when the text has come."""


@dataclass
class Script:
    """Answers by what was said before: as many messages as stand in the question have been given."""

    answers: Sequence[Scripted]
    questions: list[Question] = field(default_factory=list[Question])
    asked: Callable[[int], None] = lambda _: None
    """Told the number of each answer that is asked for."""
    closed: int = 0

    def __call__(self, connection: Connection, patience: Patience) -> Provider:
        return self

    async def answer(self, question: Question, items: Items) -> Answer:
        self.questions.append(question)
        number = sum(isinstance(each, Kept) and isinstance(each.item, MessageItem) for each in question.entries)
        self.asked(number)
        said = self.answers[number]
        items.start("r", "rs", "reasoning")
        items.done("r", ReasoningItem(id="", content=f"about {said.text}"), REPLAY)
        items.start("m", "msg", "message")
        await asyncio.sleep(0)
        items.delta("m", said.text)
        if said.fails is not None:
            raise said.fails
        for place, arguments in enumerate(said.calls):
            items.start(f"c{place}", f"fc_{place}", "function_call", name="note", call_id=f"call_{place}")
            items.delta(f"c{place}", arguments)
        # Done in another order than begun: the order of the items is that of their starts.
        for place, arguments in reversed(list(enumerate(said.calls))):
            call = FunctionCallItem(id="", name="note", arguments=arguments, call_id=f"call_{place}")
            items.done(f"c{place}", call)
            await asyncio.sleep(0)
        items.done("m", MessageItem(id="", content=said.text))
        return Answer(said.finish_reason or ("tool_calls" if said.calls else "stop"), TOKENS)

    async def close(self) -> None:
        self.closed += 1


@dataclass
class Notes:
    """Tools that note the arguments of each call as it begins; `hangs` are those that never end by themselves."""

    begun: list[str] = field(default_factory=list[str])
    hangs: frozenset[str] = frozenset()
    quiet: Quiet = field(default_factory=lambda: Quiet(0))
    specs: Sequence[ToolSpec] = (ToolSpec("note", "Notes.", {"type": "object"}),)
    hanging: asyncio.Event = field(default_factory=asyncio.Event)

    def __call__(self, job: Job, sink: Sink, keepers: Keepers, names: Sequence[str] | None) -> "Notes":
        return self

    async def call(self, name: str, arguments: str) -> ToolOutput:
        self.begun.append(arguments)
        await asyncio.sleep(0)
        if arguments in self.hangs:
            self.hanging.set()
            await asyncio.Event().wait()
        return ToolOutput(json.dumps({"noted": arguments}), success=True)


def agent_of(script: Script, notes: Notes) -> ModelAgent:
    """The agent that plays both."""
    return ModelAgent(Keepers(), script, notes)
