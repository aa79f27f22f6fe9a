import pytest

from cody.agents.model.items import Items, OutOfOrder
from cody.contract.errors import ErrorInfo
from cody.contract.items import FunctionCallItem, MessageItem
from cody.contract.payloads import Payload


class Heard:
    def __init__(self) -> None:
        self.events: list[tuple[str, Payload]] = []

    def emit(self, type_: str, payload: Payload) -> None:
        self.events.append((type_, payload))


@pytest.fixture
def items() -> Items:
    return Items(Heard())


def message(text: str = "") -> MessageItem:
    return MessageItem(id="whatever", content=text)


@pytest.mark.parametrize(
    ("wanted", "given"),
    [("msg_1", "msg_1"), ("", "item"), ("a:b/é", "a_b__"), ("x" * 128, "x" * 128), ("x" * 200, "x" * 128)],
)
def test_an_id_is_the_wanted_one_in_the_characters_of_the_contract(items: Items, wanted: str, given: str) -> None:
    assert items.start("k", wanted, "message") == given


def test_a_taken_id_gets_a_number_and_stays_within_its_bound(items: Items) -> None:
    wanted = "x" * 128
    ids = [items.start(str(number), wanted, "message") for number in range(12)]
    assert len(set(ids)) == 12
    assert {len(each) for each in ids} == {128}
    assert ids[1].endswith("_2")


def test_what_is_taken_is_in_the_order_of_the_starts(items: Items) -> None:
    items.start("a", "a", "message")
    items.start("b", "b", "message")
    items.done("b", message("B"), {"provider": "x"})
    items.done("a", message("A"))
    assert [(item.id, replay) for item, replay in items.take()] == [("a", None), ("b", {"provider": "x"})]
    assert items.take() == []
    items.tell(message("C"))
    assert [item.id for item, _ in items.take()] == ["whatever"]


def test_an_item_told_at_once_begins_with_what_it_is_called() -> None:
    heard = Heard()
    Items(heard).tell(FunctionCallItem(id="fc", name="shell", arguments="{}", call_id="call_1"))
    (_, start), (_, delta), (_, done) = heard.events
    assert (start.item_type, start.name, start.call_id) == ("function_call", "shell", "call_1")
    assert delta.delta_content == "{}"
    assert done.final_item.id == done.item_id == "fc"


def test_text_that_was_not_streamed_is_one_delta_and_streamed_text_is_not_said_twice() -> None:
    heard = Heard()
    items = Items(heard)
    for key, streamed in (("a", ""), ("b", "tex"), ("a", "")):
        items.start(key, key, "message")
        items.delta(key, streamed)
        items.done(key, message("text"))
    deltas = [(payload.item_id, payload.delta_content) for type_, payload in heard.events if type_ == "item_delta"]
    assert deltas == [("a", "text"), ("b", "tex"), ("a_2", "text")]


def test_what_is_open_fails_with_the_answer() -> None:
    heard = Heard()
    items = Items(heard)
    items.start("a", "a", "message")
    items.start("b", "b", "message")
    items.done("a", message())
    items.fail_open(ErrorInfo(code="x", message="x"))
    items.fail_open(ErrorInfo(code="y", message="y"))
    assert [(type_, payload.item_id) for type_, payload in heard.events[3:]] == [("item_error", "b")]


def test_what_is_not_open_is_out_of_order(items: Items) -> None:
    with pytest.raises(OutOfOrder):
        items.delta("a", "text")
    with pytest.raises(OutOfOrder):
        items.done("a", message())
    items.start("a", "a", "message")
    with pytest.raises(OutOfOrder) as fault:
        items.start("a", "a", "message")
    assert fault.value.error.code == "stream_sequence_error"


async def test_there_is_room_unless_somebody_says_otherwise(items: Items) -> None:
    await items.ready()
    waited: list[bool] = []

    async def room() -> None:
        waited.append(True)

    await Items(Heard(), room).ready()
    assert waited == [True]
