import asyncio
from typing import Any

import pytest

from cody.agents.base import Result, Stop
from cody.agents.model.items import OutOfOrder
from cody.agents.model.protocol import Kept, ProviderFailed, UserText
from cody.contract.agents import AnthropicAgent, CommandAgent, OpenAIAgent
from cody.contract.errors import ErrorInfo
from cody.contract.items import CancelledItem, ErrorItem, FunctionCallOutputItem, MessageItem
from cody.contract.responses import Response
from tests.unit.agents.model.model_scripts import Notes, Script, Scripted, agent_of
from tests.unit.agents.model.model_stage import Log, make_job, take_turn

OVERLOADED = ErrorInfo(code="overloaded_error", message="later", retryable=True)


async def play(*answers: Scripted, notes: Notes | None = None, **job: Any) -> tuple[Result, Response, Script, Log]:
    log, script = Log(), Script(answers)
    result = await take_turn(agent_of(script, notes or Notes()), log, make_job(log, **job))
    assert script.closed == 1
    return result, log.response(), script, log


def types_of(response: Response) -> list[str]:
    return [item.type for item in response.output_items]


async def test_an_answer_without_calls_is_the_turn() -> None:
    result, response, script, log = await play(Scripted("Hello."), prompt="Hi.")
    assert types_of(response) == ["reasoning", "message"]
    assert (response.status, response.finish_reason) == ("complete", "stop")
    assert script.questions[0].entries == (UserText("Hi."),)
    assert log.events[0].type == "turn_started"
    assert result.usage == response.usage


async def test_calls_are_run_one_after_the_other_and_their_outputs_go_back() -> None:
    notes = Notes()
    _, response, script, _ = await play(Scripted("a", ("1", "2")), Scripted("b", ("3",)), Scripted("c"), notes=notes)
    assert notes.begun == ["1", "2", "3"]
    assert types_of(response) == [
        *("reasoning", "message", "function_call", "function_call", "function_call_output", "function_call_output"),
        *("reasoning", "message", "function_call", "function_call_output", "reasoning", "message"),
    ]
    ids = [item.id for item in response.output_items]
    assert ids[:6] == ["rs", "msg", "fc_0", "fc_1", "call_0_output", "call_1_output"]
    assert ids[6:] == ["rs_2", "msg_2", "fc_0_2", "call_0_output_2", "rs_3", "msg_3"]
    said = [entry.item.id for entry in script.questions[2].entries if isinstance(entry, Kept)]
    assert said == ids[:10]


async def test_the_tokens_of_all_answers_add_up() -> None:
    result, response, _, log = await play(Scripted("a", ("1",)), Scripted("b"))
    assert result.usage is not None
    assert (result.usage.total_tokens, result.usage.cached_tokens) == (10, None)
    assert [each.usage.total_tokens for each in log.of("usage_update")] == [5, 10]
    assert response.usage == result.usage


async def test_at_max_steps_the_pending_calls_are_answered_and_the_turn_completes() -> None:
    notes = Notes()
    agent = OpenAIAgent(kind="openai", model="m", max_steps=2)
    answers = (Scripted("a", ("1",)), Scripted("b", ("2", "3")), Scripted("c"))
    result, response, script, log = await play(*answers, notes=notes, agent=agent)
    assert notes.begun == ["1"]
    assert len(script.questions) == 2
    assert (result.error, response.status, response.finish_reason) == (None, "complete", "max_steps")
    outputs = [item for item in response.output_items if isinstance(item, FunctionCallOutputItem)]
    assert [output.success for output in outputs] == [True, False, False]
    assert "max_steps" in outputs[2].output
    assert [warning.code for warning in log.of("warning")] == ["max_steps"]


@pytest.mark.parametrize("reason", ["refusal", "content_filter"])
async def test_the_calls_of_a_model_that_was_stopped_are_not_run(reason: str) -> None:
    notes = Notes()
    _, response, _, _ = await play(Scripted("a", ("1",), finish_reason=reason), notes=notes)
    assert notes.begun == []
    assert response.finish_reason == reason
    assert types_of(response)[-1] == "function_call_output"


async def test_the_finish_reason_is_that_of_the_last_answer() -> None:
    _, response, _, _ = await play(Scripted("a", ("1",), finish_reason="length"), Scripted("b", finish_reason="length"))
    assert response.finish_reason == "length"
    _, response, _, _ = await play(Scripted("a", finish_reason="tool_calls"))
    assert response.finish_reason == "stop"


@pytest.mark.parametrize("failure", [ProviderFailed(OVERLOADED), OutOfOrder("a delta too soon")])
async def test_a_failure_keeps_what_is_whole_and_ends_what_is_open_as_an_error(failure: Any) -> None:
    result, response, _, _ = await play(Scripted("a", ("1",)), Scripted("b", fails=failure))
    assert result.error == failure.error
    assert (response.status, response.error) == ("error", failure.error)
    assert types_of(response)[:5] == ["reasoning", "message", "function_call", "function_call_output", "reasoning"]
    last = response.output_items[-1]
    assert isinstance(last, ErrorItem)
    assert (last.id, last.code) == ("msg_2", failure.error.code)
    assert result.usage is not None
    assert result.usage.total_tokens == 5


async def test_a_stop_within_a_tool_cancels_its_output() -> None:
    log, notes, stop = Log(), Notes(hangs=frozenset({"2"})), Stop()
    script = Script([Scripted("a", ("1", "2", "3")), Scripted("b")])
    turn = asyncio.create_task(take_turn(agent_of(script, notes), log, make_job(log, stop=stop)))
    await notes.hanging.wait()
    stop.request()
    result = await turn
    response = log.response()
    assert result.stopped
    assert script.closed == 1
    assert notes.begun == ["1", "2"]
    assert response.status == "aborted"
    assert isinstance(response.output_items[-1], CancelledItem)
    assert response.output_items[-1].id == "call_1_output"


async def test_a_stop_within_an_answer_cancels_what_is_open() -> None:
    log, stop, notes = Log(), Stop(), Notes()

    class Hanging(Script):
        async def answer(self, question: Any, items: Any) -> Any:
            items.start("m", "msg", "message")
            items.delta("m", "Half")
            stop.request()
            await asyncio.Event().wait()

    result = await take_turn(agent_of(Hanging([]), notes), log, make_job(log, stop=stop))
    assert result.stopped
    assert isinstance(log.response().output_items[0], CancelledItem)


async def test_a_stop_before_the_attempt_asks_nobody() -> None:
    stop = Stop()
    stop.request()
    log, script = Log(), Script([Scripted("a")])
    result = await take_turn(agent_of(script, Notes()), log, make_job(log, stop=stop))
    assert result.stopped
    assert script.questions == []
    assert log.events[0].type == "turn_started"


async def test_who_gives_the_turn_up_ends_its_tool_first() -> None:
    log, notes = Log(), Notes(hangs=frozenset({"1"}))
    script = Script([Scripted("a", ("1",))])
    turn = asyncio.create_task(take_turn(agent_of(script, notes), log, make_job(log)))
    await notes.hanging.wait()
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    assert script.closed == 1


async def test_what_the_model_is_told_of_its_settings() -> None:
    agent = AnthropicAgent(kind="anthropic", model="m", instructions="Be brief.", thinking_budget=2048)
    _, _, script, _ = await play(Scripted("a"), agent=agent)
    question = script.questions[0]
    assert (question.model, question.instructions, question.thinking_budget) == ("m", "Be brief.", 2048)
    assert [tool.name for tool in question.tools] == ["note"]


async def test_a_bug_is_not_taken_for_a_failure_of_the_provider() -> None:
    with pytest.raises(ZeroDivisionError):
        await play(Scripted("a", fails=ZeroDivisionError()))


async def test_other_agents_are_not_its_to_do() -> None:
    with pytest.raises(TypeError):
        await play(Scripted("a"), agent=CommandAgent(kind="command", command=["true"]))


async def test_what_was_under_way_in_a_stopped_attempt_is_answered_interrupted_by_the_next() -> None:
    log, notes, stop = Log(), Notes(hangs=frozenset({"1"})), Stop()
    script = Script([Scripted("a", ("1", "2")), Scripted("b")])
    turn = asyncio.create_task(take_turn(agent_of(script, notes), log, make_job(log, stop=stop)))
    await notes.hanging.wait()
    stop.request()
    await turn
    await take_turn(agent_of(script, notes), log, make_job(log, attempt=2))
    response = log.response()
    outputs = [item for item in response.output_items if isinstance(item, FunctionCallOutputItem)]
    assert (outputs[0].output, outputs[0].success) == ("interrupted", False)
    assert notes.begun == ["1", "2"]
    assert isinstance(response.output_items[-1], MessageItem)
    assert len(script.questions) == 2
