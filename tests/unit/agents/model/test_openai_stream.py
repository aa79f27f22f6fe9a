from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cody.agents.model.items import Items, OutOfOrder
from cody.agents.model.openai_stream import Reading
from cody.agents.model.protocol import Answer, ProviderFailed
from cody.contract.items import FunctionCallItem, Item, MessageItem, ReasoningItem
from cody.contract.payloads import ItemDelta, Payload
from cody.contract.usage import Usage

Wire = dict[str, Any]


class Ear:
    """Reads events, and keeps what is told of them."""

    def __init__(self) -> None:
        self.items, self.texts = Items(self), dict[str, str]()
        self.reading = Reading(self.items)

    def emit(self, type_: str, payload: Payload) -> None:
        if isinstance(payload, ItemDelta):
            self.texts[payload.item_id] = self.texts.get(payload.item_id, "") + payload.delta_content

    def hear(self, *events: Wire) -> "Ear":
        for event in events:
            self.reading.hear(event)
        return self

    @property
    def answer(self) -> Answer:
        assert self.reading.answer is not None
        return self.reading.answer

    @property
    def told(self) -> list[Item]:
        return [item for item, _ in self.items.take()]


def part(text: str, type_: str = "output_text") -> Wire:
    return {"type": type_, ("refusal" if type_ == "refusal" else "text"): text}


def message(*parts: Wire, id_: str = "msg_1") -> Wire:
    return {"type": "message", "id": id_, "role": "assistant", "content": list(parts)}


def reasoning(*texts: str, **more: Any) -> Wire:
    return {"type": "reasoning", "id": "rs_1", "summary": [part(text, "summary_text") for text in texts], **more}


def call(arguments: str = "", id_: str = "fc_1", **more: Any) -> Wire:
    return {
        "type": "function_call", "id": id_, "call_id": "call_1", "name": "shell", "arguments": arguments, **more,
    }  # fmt: skip


def added(item: Wire, place: int = 0) -> Wire:
    return {"type": "response.output_item.added", "output_index": place, "item": item}


def done(item: Wire, place: int = 0) -> Wire:
    return {"type": "response.output_item.done", "output_index": place, "item": item}


def delta(kind: str, text: Any, id_: str = "msg_1", **more: Any) -> Wire:
    return {"type": f"response.{kind}.delta", "item_id": id_, "output_index": 0, "delta": text, **more}


def text(said: Any, id_: str = "msg_1") -> Wire:
    return delta("output_text", said, id_, content_index=0)


def end(*output: Wire, status: str = "completed", **more: Any) -> Wire:
    return {"type": f"response.{status}", "response": {"status": status, "output": list(output), **more}}


def test_a_message_streams_and_is_done() -> None:
    ear = Ear().hear(
        added(message()), text("Hel"), text("lo"), done(message(part("Hello"))), end(message(part("Hello")))
    )
    assert ear.told == [MessageItem(id="msg_1", content="Hello")]
    assert ear.texts == {"msg_1": "Hello"}
    assert ear.answer == Answer("stop", None)


def test_where_deltas_and_the_end_differ_the_end_counts() -> None:
    assert Ear().hear(added(message()), text("Hel"), done(message(part("Bye")))).told[0].content == "Bye"


def test_where_the_end_is_silent_the_deltas_count() -> None:
    end_of = {"type": "message", "id": "msg_1"}
    assert Ear().hear(added(message()), text("Hel"), done(end_of)).told[0].content == "Hel"
    said = Ear().hear(added(call()), delta("function_call_arguments", "{}", "fc_1"), done(call(arguments=None)))
    assert said.told[0].arguments == "{}"


def test_an_answer_without_content_is_an_answer() -> None:
    assert Ear().hear(added(message()), done(message()), end(message())).told == [MessageItem(id="msg_1", content="")]
    assert Ear().hear(end()).answer == Answer("stop", None)


def test_the_parts_of_a_message_are_one_text() -> None:
    ear = Ear().hear(added(message()), done(message(part("One "), part("two"))))
    assert ear.told[0].content == "One two"


def test_a_refusal_is_text_and_a_reason() -> None:
    refused = message(part("I cannot.", "refusal"))
    ear = Ear().hear(added(message()), delta("refusal", "I cannot."), done(refused), end(refused))
    assert (ear.told[0].content, ear.texts, ear.answer.finish_reason) == (
        "I cannot.",
        {"msg_1": "I cannot."},
        "refusal",
    )
    assert Ear().hear(added(message()), done(refused), end(refused)).answer.finish_reason == "refusal"


def summary(said: str, index: int) -> Wire:
    return delta("reasoning_summary_text", said, "rs_1", summary_index=index)


def test_the_parts_of_a_summary_are_paragraphs() -> None:
    ear = Ear().hear(
        added(reasoning()), summary("On", 0), summary("e", 0), summary("", 1), summary("Two", 1),
        done(reasoning("One", "Two", encrypted_content="gAAA")),
    )  # fmt: skip
    assert ear.texts == {"rs_1": "One\n\nTwo"}
    ((item, replay),) = ear.items.take()
    assert item == ReasoningItem(id="rs_1", content="One\n\nTwo")
    assert replay == {"provider": "openai", "item": reasoning("One", "Two", encrypted_content="gAAA")}


def test_open_reasoning_streams_and_is_not_sent_back() -> None:
    whole = reasoning(content=[part("Hm.", "reasoning_text")])
    ear = Ear().hear(added(reasoning()), delta("reasoning_text", "Hm.", "rs_1", content_index=0), done(whole))
    assert ear.texts == {"rs_1": "Hm."}
    assert ear.items.take() == [(ReasoningItem(id="rs_1", content="Hm."), None)]


def test_a_call_streams_its_arguments() -> None:
    ear = Ear().hear(
        added(call()),
        delta("function_call_arguments", '{"a"', "fc_1"),
        delta("function_call_arguments", ":1}", "fc_1"),
        done(call('{"a":1}')),
        end(call('{"a":1}')),
    )
    assert ear.told == [FunctionCallItem(id="fc_1", name="shell", arguments='{"a":1}', call_id="call_1")]
    assert ear.texts == {"fc_1": '{"a":1}'}
    assert ear.answer.finish_reason == "tool_calls"


def test_calls_may_be_interleaved() -> None:
    one, two = call("1", "fc_1"), call("2", "fc_2", call_id="call_2")
    grow = [delta("function_call_arguments", said, id_) for said, id_ in (("2", "fc_2"), ("1", "fc_1"))]
    ear = Ear().hear(added(call(), 0), added(call("", "fc_2", call_id="call_2"), 1), *grow, done(two, 1), done(one, 0))
    assert [(item.id, item.arguments) for item in ear.told] == [("fc_1", "1"), ("fc_2", "2")]


def test_tokens_are_counted_as_they_are_told() -> None:
    usage = {
        "input_tokens": 10, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 3}, "total_tokens": 15,
    }  # fmt: skip
    assert Ear().hear(end(usage=usage)).answer.usage == Usage(
        prompt_tokens=10, completion_tokens=5, total_tokens=15, cached_tokens=4, reasoning_tokens=3
    )
    plain = {"input_tokens": 1, "output_tokens": 2}
    assert Ear().hear(end(usage=plain)).answer.usage == Usage(prompt_tokens=1, completion_tokens=2, total_tokens=3)


@pytest.mark.parametrize(
    ("reason", "said"), [("max_output_tokens", "length"), ("content_filter", "content_filter"), (None, "incomplete")]
)
def test_an_incomplete_response_says_why_and_keeps_what_came(reason: str | None, said: str) -> None:
    details = {"reason": reason} if reason else None
    ear = Ear().hear(added(message()), text("Half"), end(status="incomplete", incomplete_details=details))
    assert (ear.told, ear.answer.finish_reason) == ([MessageItem(id="msg_1", content="Half")], said)


def test_what_only_the_finished_response_tells_is_told() -> None:
    ear = Ear().hear(added(message()), text("Hel"), end(message(part("Hello"))))
    assert ear.told == [MessageItem(id="msg_1", content="Hello")]
    assert [item.id for item in Ear().hear(end(message(part("Hello")), call("{}"))).told] == ["msg_1", "fc_1"]


def test_an_item_is_not_told_twice_when_the_finished_response_names_it_otherwise() -> None:
    ear = Ear().hear(added(message()), done(message(part("Hi"))), end(message(part("Hi"), id_="other")))
    assert [item.id for item in ear.told] == ["msg_1"]


def test_what_is_not_known_is_passed_over() -> None:
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
    ear = Ear().hear(
        {"type": "response.created", "response": {}}, {"type": "keepalive"}, added(search), done(search),
        {"type": "response.output_text.annotation.added", "item_id": "?"}, end(search, part("?")),
    )  # fmt: skip
    assert ear.told == []
    assert ear.answer.finish_reason == "stop"


@pytest.mark.parametrize(
    "events",
    [
        (text("too soon"),),
        (done(message()),),
        (added(message()), done(message()), text("late")),
        (added(message()), done(message()), done(message())),
        (added(message()), added(message())),
    ],
)
def test_what_breaks_the_order_fails_the_answer(events: tuple[Wire, ...]) -> None:
    with pytest.raises(OutOfOrder):
        Ear().hear(*events)


@pytest.mark.parametrize(
    "event",
    [
        None, [], "text", {}, {"type": 1}, {"type": "response.completed"}, end(output="?"), added({"id": "x"}),
        text(None), text(1), {"type": "response.output_text.delta", "delta": "x"}, end(usage={"input_tokens": -1}),
        added(message({"type": "output_text", "text": 1})),
    ],
)  # fmt: skip
def test_what_is_not_in_the_api_s_form_is_malformed(event: Any) -> None:
    with pytest.raises(ProviderFailed) as failed:
        Ear().hear(added(message()), event)
    assert (failed.value.error.code, failed.value.error.retryable) == ("provider_malformed", True)


def test_a_response_that_is_completed_within_an_item_is_malformed() -> None:
    with pytest.raises(ProviderFailed, match="provider_malformed"):
        Ear().hear(added(message()), end())


def test_a_call_of_nothing_is_malformed() -> None:
    with pytest.raises(ProviderFailed, match="provider_malformed"):
        Ear().hear(added(call(name="")), done(call("{}", name="")))


@pytest.mark.parametrize(
    ("event", "code", "retryable"),
    [
        ({"type": "error", "code": "server_error", "message": "x", "param": None}, "server_error", True),
        ({"type": "error", "error": {"type": "rate_limit_error", "message": "x"}}, "rate_limit_error", True),
        (end(status="failed", error={"code": "rate_limit_exceeded", "message": "x"}), "rate_limit_exceeded", True),
        (end(status="failed", error={"code": "invalid_prompt", "message": "x"}), "invalid_prompt", False),
        (end(status="failed", error=None), "provider_malformed", True),
    ],
)
def test_a_failure_within_the_answer_keeps_its_code(event: Wire, code: str, retryable: bool) -> None:
    with pytest.raises(ProviderFailed) as failed:
        Ear().hear(added(message()), text("Half"), event)
    assert (failed.value.error.code, failed.value.error.retryable) == (code, retryable)


@given(st.lists(st.text(), max_size=8))
def test_a_message_is_its_deltas(texts: list[str]) -> None:
    ear = Ear().hear(added(message()), *map(text, texts), end(status="incomplete"))
    assert ear.told[0].content == ear.texts.get("msg_1", "") == "".join(texts)
