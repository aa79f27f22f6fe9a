"""Whatever ends its attempts, and wherever: a turn of a model goes on from its last finished call."""

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Literal, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from cody.agents.base import Result, Stop
from cody.agents.model.protocol import Kept, ProviderFailed
from cody.contract.errors import PROVIDER_CUT, ErrorInfo
from cody.contract.items import FunctionCallItem, FunctionCallOutputItem, MessageItem, ReasoningItem
from tests.unit.agents.model.model_scripts import REPLAY, TOKENS, Notes, Script, Scripted, agent_of
from tests.unit.agents.model.model_stage import Log, LogSink, make_job, take_turn

CUT = ProviderFailed(ErrorInfo(code=PROVIDER_CUT, message="cut", retryable=True))


class Ending(NamedTuple):
    """How an attempt ends, unless its turn is over before: after so many events, or at its answer of that number."""

    how: Literal["killed", "stopped", "provider fails"]
    after: int


ENDINGS = st.lists(
    st.one_of(
        st.builds(Ending, st.just("killed"), st.integers(0, 60)),
        st.builds(Ending, st.just("stopped"), st.integers(0, 60)),
        st.builds(Ending, st.just("provider fails"), st.integers(0, 3)),
    ),
    max_size=5,
)
CALLS = st.lists(st.integers(0, 3), max_size=4)
"""How many calls each answer has, before a last one without any."""


def answers_of(calls: list[int]) -> list[Scripted]:
    made = [
        Scripted(f"answer {number}", tuple(f"{number}.{place}" for place in range(count)))
        for number, count in enumerate(calls)
        if count
    ]
    numbered = [replace(each, text=f"answer {number}") for number, each in enumerate(made)]
    return [*numbered, Scripted(f"answer {len(numbered)}")]


class Turn:
    """A turn whose attempts end in one way or another."""

    def __init__(self, answers: list[Scripted]) -> None:
        self.answers, self.log, self.notes = answers, Log(), Notes()
        self.attempt = 0
        self.questions = 0

    async def begin(self, ending: Ending | None) -> Result | None:
        """An attempt, which gives None if its worker was killed."""
        self.attempt += 1
        answers, how, after = list(self.answers), ending and ending.how, ending.after if ending else None
        if how == "provider fails" and after is not None and after < len(answers):
            answers[after] = replace(answers[after], fails=CUT)
        script = Script(answers, asked=self.check_question)
        agent, stop = agent_of(script, self.notes), Stop()
        job = make_job(self.log, attempt=self.attempt, stop=stop)
        if how == "killed":
            return await self.kill(agent.run, job, after)
        if how == "stopped":
            return await self.stop(agent, job, after)
        result = await take_turn(agent, self.log, job)
        self.check_conversations(script)
        return result

    async def kill(self, run, job, after) -> Result | None:
        sink = LogSink(self.log, job, capacity=after)
        work, dead = asyncio.create_task(run(job, sink)), asyncio.create_task(sink.dead.wait())
        await asyncio.wait((work, dead), return_when=asyncio.FIRST_COMPLETED)
        killed = not work.done() or sink.dead.is_set()
        for task in (work, dead):
            task.cancel()
        await asyncio.wait((work, dead))
        return None if killed else work.result()

    async def stop(self, agent, job, after) -> Result:
        """Asked to stop once there are so many events."""
        turn = asyncio.create_task(take_turn(agent, self.log, job))
        until = len(self.log.events) + after
        while not turn.done() and len(self.log.events) < until:
            await asyncio.sleep(0)
        job.stop.request()
        return await turn

    def check_question(self, number: int) -> None:
        """No finished answer is asked for again."""
        self.questions += 1
        marks = Counter(event.attempt for event in self.log.events if event.type == "usage_update")
        assert max(marks.values(), default=0) <= number

    def check_conversations(self, script: Script) -> None:
        """In all that a model was asked each call has its one output, and what it thought came back with its secret."""
        for question in script.questions:
            kept = [entry for entry in question.entries if isinstance(entry, Kept)]
            calls = [each.item.call_id for each in kept if isinstance(each.item, FunctionCallItem)]
            outputs = [each.item.call_id for each in kept if isinstance(each.item, FunctionCallOutputItem)]
            assert calls == outputs
            assert all(each.replay == REPLAY for each in kept if isinstance(each.item, ReasoningItem))

    def check_end(self) -> None:
        """The response of the last attempt is whole, and every call was begun once at most."""
        assert max(Counter(self.notes.begun).values(), default=1) == 1
        response = self.log.response()
        assert response.status == "complete", response.error
        said = [
            (item.content, None) if isinstance(item, MessageItem) else (item.arguments, item.call_id)
            for item in response.output_items
            if isinstance(item, MessageItem | FunctionCallItem)
        ]
        expected = []
        for answer in self.answers:
            expected.append((answer.text, None))
            expected += [(arguments, f"call_{place}") for place, arguments in enumerate(answer.calls)]
        assert said == expected
        outputs = iter([item for item in response.output_items if isinstance(item, FunctionCallOutputItem)])
        begun = {each.payload.item_id for each in self.log.events if each.type == "item_start"}
        for arguments in [arguments for answer in self.answers for arguments in answer.calls]:
            output = next(outputs)
            if output.success:
                assert arguments in output.output
                assert arguments in self.notes.begun
            else:
                assert output.output == "interrupted"
                assert output.id in begun
        assert next(outputs, None) is None

    def check_tokens(self) -> None:
        """The last total of each attempt adds up to what whole answers cost, each counted once."""
        last = {each.attempt: each.payload.usage for each in self.log.events if each.type == "usage_update"}
        assert sum(usage.total_tokens for usage in last.values()) == TOKENS.total_tokens * len(self.answers)


async def play(calls: list[int], endings: list[Ending]) -> None:
    turn = Turn(answers_of(calls))
    for ending in endings:
        result = await turn.begin(ending)
        if result is not None and not result.stopped and result.error is None:
            break
    else:
        result = await turn.begin(None)
        assert result is not None
        assert result.error is None
    if result is not None and turn.log.events[-1].type != "response_done":
        # The killed one was through, but for its last word.
        result = await turn.begin(None)
        assert result is not None
    turn.check_end()
    turn.check_tokens()


@given(calls=CALLS, endings=ENDINGS)
@settings(deadline=None, max_examples=150)
def test_no_call_is_begun_twice_and_no_finished_answer_is_asked_for_again(
    calls: list[int], endings: list[Ending]
) -> None:
    asyncio.run(play(calls, endings))


def test_an_attempt_that_ended_after_any_event_is_gone_on_from() -> None:
    for after in range(60):
        asyncio.run(play([2, 1], [Ending("killed", after)]))
        asyncio.run(play([2, 1], [Ending("killed", 60 - after), Ending("killed", after)]))
