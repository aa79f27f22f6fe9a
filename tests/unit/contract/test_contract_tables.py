"""The contract's tables, written out once more, against the models."""

from typing import Any, get_args

import pytest
from pydantic import BaseModel

from cody.contract import events, items, lifecycle, responses, runs

EVENTS = {
    "response_start": "response_id turn_id thread_id agent_id? model_id provider_id created_at",
    "item_start": "item_id item_type initial_content? name? arguments? call_id? origin?",
    "item_delta": "item_id delta_content",
    "item_done": "item_id final_item replay?",  # the last one is ours: ADR 009
    "item_error": "item_id error",
    "item_cancelled": "item_id reason?",
    "script_execution_start": "item_id code",
    "script_execution_done": "item_id result success",
    "script_execution_error": "item_id error",
    "usage_update": "response_id usage",
    "response_done": "response_id status usage? finish_reason",
    "response_error": "response_id error",
    "turn_aborted_by_user": "turn_id reason",
    "run_queued": "reason?",
    "run_started": "reason?",
    "run_pausing": "reason?",
    "run_paused": "reason?",
    "run_resumed": "reason?",
    "run_cancelling": "reason?",
    "run_completed": "reason completion?",
    "run_failed": "error",
    "run_cancelled": "reason receipt",
    "turn_started": "pid? agent model?",
    "turn_completed": "usage? should_continue",
    "turn_failed": "error will_retry",
    "subprocess_output": "stream text omitted_bytes",
    "file_read": "path bytes?",
    "file_written": "path bytes?",
    "file_deleted": "path bytes?",
    "log_updated": "kind path delta",
    "test_run_started": "command",
    "test_run_completed": "command passed failed skipped duration_ms?",
    "token_usage": "prompt_tokens completion_tokens total_tokens",
    "completion_detected": "source line?",
    "warning": "code message",
    "log_gap": "from to",
}
ITEMS = {
    "message": "content",
    "reasoning": "content",
    "function_call": "name arguments call_id",
    "function_call_output": "call_id output success",
    "script_execution": "code",
    "script_execution_output": "script_id result success error?",
    "error": "code message details?",
    "cancelled": "reason?",
}
DOCUMENTS: dict[type[BaseModel], str] = {
    responses.Response: "id run_id turn attempt turn_id thread_id agent_id? model_id provider_id created_at updated_at"
    " status output_items usage? finish_reason error? cursor",
    runs.Snapshot: "run_id kind status epic_id agent model working_dir thread_id created_at started_at updated_at"
    " finished_at current_turn attempt pid stats completion error? budget metadata cursor links",
    runs.Stats: "turns tokens prompt_tokens completion_tokens",
    runs.CompletionVerdict: "detected source? line?",
    runs.Accepted: "run_id status kind thread_id created_at links",
    runs.Links: "self status stream control responses temporal",
    runs.Controlled: "run_id action status",
    events.TraceContext: "traceparent tracestate?",
}
# status × action: "-" is 409, "=" is "no change".
LIFECYCLE = """
queued      pausing  -        cancelling
running     pausing  -        cancelling
pausing     =        running  cancelling
paused      =        running  cancelling
cancelling  -        -        =
completed   -        -        -
failed      -        -        -
cancelled   -        -        -
"""


def fields(model: type[BaseModel]) -> set[str]:
    """The model's JSON fields as the contract writes them: with a `?` where None is left out."""
    return {
        (field.alias or name) + ("?" if field.exclude_if is not None else "")
        for name, field in model.model_fields.items()
    }


def test_every_event_type_of_the_contract_has_a_payload() -> None:
    assert list(events.PAYLOADS) == list(EVENTS)


@pytest.mark.parametrize("type_", EVENTS)
def test_payload_has_the_fields_of_the_contract(type_: str) -> None:
    assert fields(events.PAYLOADS[type_]) == set(EVENTS[type_].split())


def test_items_have_the_fields_of_the_contract() -> None:
    union: Any = get_args(items.Item)[0]
    models = {get_args(model.model_fields["type"].annotation)[0]: model for model in get_args(union)}
    assert set(models) == set(ITEMS) == set(get_args(items.ItemType))
    for type_, model in models.items():
        assert fields(model) == {"id", "type", "origin", "correlation_id?", *ITEMS[type_].split()}


@pytest.mark.parametrize("model", DOCUMENTS)
def test_document_has_the_fields_of_the_contract(model: type[BaseModel]) -> None:
    assert fields(model) == set(DOCUMENTS[model].split())


def test_sets_of_types_are_of_the_table() -> None:
    assert {"run_completed", "run_failed", "run_cancelled"} == events.TERMINAL
    assert {"turn_completed", "turn_failed", "turn_aborted_by_user"} == events.ATTEMPT_ENDS
    names = list(EVENTS)
    telemetry = names[names.index("file_read") : names.index("warning") + 1]
    assert set(telemetry) == events.TELEMETRY


def lifecycle_cases() -> list[tuple[str, str, str | None]]:
    rows = [line.split() for line in LIFECYCLE.strip().splitlines()]
    assert [row[0] for row in rows] == list(lifecycle.STATUSES)
    return [
        (status, action, {"-": None, "=": status}.get(cell, cell))
        for status, *cells in rows
        for action, cell in zip(("pause", "resume", "cancel"), cells, strict=True)
    ]


@pytest.mark.parametrize(("status", "action", "after"), lifecycle_cases())
def test_transition_is_the_contracts(status: Any, action: Any, after: str | None) -> None:
    assert lifecycle.transition(status, action) == after


def test_ended_runs_take_no_control() -> None:
    legal = {s for s in lifecycle.STATUSES for a in lifecycle.ACTIONS if lifecycle.transition(s, a)}
    assert set(lifecycle.STATUSES) - legal == lifecycle.ENDED
    assert set(lifecycle.ACTIONS) == {"pause", "resume", "cancel"}
