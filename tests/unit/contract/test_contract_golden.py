"""The JSON of every model is pinned by `fixtures/golden/`, written by hand from the contract."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from cody.contract import agents, errors, events, items, requests, responses, runs
from cody.contract import payloads as p

GOLDEN = Path(__file__).parents[3] / "fixtures" / "golden"
EVENTS = (GOLDEN / "events.jsonl").read_text(encoding="utf-8").splitlines()
ITEMS = (GOLDEN / "items.jsonl").read_text(encoding="utf-8").splitlines()
ITEM = TypeAdapter[items.Item](items.Item)


def documents() -> list[Any]:
    cases: list[Any] = []
    for module, name in ((responses, "responses"), (runs, "runs"), (errors, "problems")):
        golden = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
        cases += [
            pytest.param(getattr(module, model), kind, body, id=f"{model}-{kind}")
            for model, variants in golden.items()
            for kind, body in variants.items()
        ]
    return cases


def sent() -> list[Any]:
    golden = json.loads((GOLDEN / "requests.json").read_text(encoding="utf-8"))
    return [
        pytest.param(
            TypeAdapter(getattr(agents if model == "Agent" else requests, model)), case, id=f"{model}-{number}"
        )
        for model, cases in golden.items()
        for number, case in enumerate(cases)
    ]


def event_id(line: str) -> str:
    event = json.loads(line)
    return f"{event['type']}-{event['event_id'].rsplit(':', 1)[1]}"


def with_unknown(body: Any) -> Any:
    """The same JSON from a newer writer: a field more in every object whose fields the contract names."""
    if isinstance(body, list):
        return [with_unknown(part) for part in body]
    if not isinstance(body, dict):
        return body
    free = {"details", "metadata", "budget"}
    return {"from_the_future": {"a": [1]}} | {k: v if k in free else with_unknown(v) for k, v in body.items()}


@pytest.mark.parametrize("line", EVENTS, ids=event_id)
def test_event_round_trips_to_the_byte(line: str) -> None:
    event = events.parse(json.loads(line)["type"], line)
    assert event.model_dump_json(by_alias=True) == line


@pytest.mark.parametrize("line", EVENTS, ids=event_id)
def test_encode_writes_the_bytes_of_the_model(line: str) -> None:
    event = events.parse(json.loads(line)["type"], line)
    speaker = events.Speaker(
        run_id=event.run_id, turn=event.turn, attempt=event.attempt, trace_context=event.trace_context
    )
    number = int(event.event_id.rsplit(":", 1)[1])
    assert events.encode(speaker, number, event.type, event.timestamp, event.payload) == line.encode()


@pytest.mark.parametrize("line", EVENTS, ids=event_id)
def test_event_tolerates_unknown_fields(line: str) -> None:
    newer = json.dumps(with_unknown(json.loads(line)))
    assert events.parse(json.loads(line)["type"], newer).model_dump_json(by_alias=True) == line


def test_every_event_type_has_a_golden_line() -> None:
    assert {json.loads(line)["type"] for line in EVENTS} == set(events.PAYLOADS) == set(events.EVENTS)


def test_an_event_of_another_type_is_refused() -> None:
    with pytest.raises(ValidationError):
        events.parse("item_done", EVENTS[0])
    with pytest.raises(KeyError):
        events.parse("from_the_future", EVENTS[0])


@pytest.mark.parametrize("line", ITEMS)
def test_item_round_trips_to_the_byte(line: str) -> None:
    item = ITEM.validate_json(line)
    assert ITEM.dump_json(item).decode() == line
    assert ITEM.validate_json(json.dumps(with_unknown(json.loads(line)))) == item


def test_every_item_type_has_golden_lines_with_all_and_with_required_fields() -> None:
    assert [json.loads(line)["type"] for line in ITEMS] == [t for t in items.ItemType.__args__ for _ in range(2)]


@pytest.mark.parametrize(("model", "kind", "body"), documents())
def test_document_round_trips(model: type[BaseModel], kind: str, body: Any) -> None:
    document = model.model_validate_json(json.dumps(body))
    assert json.loads(document.model_dump_json(by_alias=True)) == body
    assert model.model_validate_json(json.dumps(with_unknown(body))) == document
    if kind == "defaults":
        aliases = {name: field.alias or name for name, field in model.model_fields.items()}
        required = {aliases[name] for name, field in model.model_fields.items() if field.is_required()}
        least = {name: value for name, value in body.items() if name in required}
        assert model.model_validate(least).model_dump(mode="json", by_alias=True) == body


@pytest.mark.parametrize(("adapter", "case"), sent())
def test_request_reads_as_its_canonical_form(adapter: TypeAdapter[Any], case: dict[str, Any]) -> None:
    request = adapter.validate_json(json.dumps(case["sent"]))
    assert requests.canonical(request) == case["canonical"]
    assert requests.canonical(adapter.validate_json(json.dumps(case["canonical"]))) == case["canonical"]


@pytest.mark.parametrize(
    ("payload", "least"),
    [
        (p.TokenUsage(), {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}),
        (p.SubprocessOutput(stream="stdout", text=""), {"stream": "stdout", "text": "", "omitted_bytes": 0}),
        (p.TestRunCompleted(command="c"), {"command": "c", "passed": 0, "failed": 0, "skipped": 0}),
        (p.LogDelta(added_bytes=0, added_lines=0), {"added_bytes": 0, "added_lines": 0, "tail": []}),
        (
            p.Receipt(requested_at=1, quiet_at=2),
            {"requested_at": 1, "quiet_at": 2, "signals": [], "reaped": [], "survivors": [], "tokens": 0},
        ),
        (errors.ErrorInfo(code="c", message="m"), {"code": "c", "message": "m", "retryable": False}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_payload_defaults(payload: BaseModel, least: dict[str, Any]) -> None:
    assert payload.model_dump(mode="json", by_alias=True) == least
