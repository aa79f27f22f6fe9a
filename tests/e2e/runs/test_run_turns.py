"""Runs as their users see them: turns, their events, and how a run finds its end."""

import pytest

from tests.e2e.runs.checks import check_ended, types
from tests.service import Service, eventually


def test_turns_follow_each_other_until_the_log_says_done(service: Service):
    script = """
    echo "turn $CODY_TURN attempt $CODY_ATTEMPT of $CODY_RUN_ID"
    echo "progress $CODY_TURN" >> log.md
    echo "$CODY_TURN" > "file-$CODY_TURN.txt"
    [ "$CODY_TURN" -lt 3 ] || echo "ALL DONE" >> log.md
    """
    run = service.start(script, completion={"log": "log.md", "pattern": "^ALL DONE$"}, max_turns=None)
    snapshot = run.wait("completed")
    events = check_ended(run)
    assert snapshot["completion"] == {"detected": True, "source": "pattern", "line": "ALL DONE"}
    assert snapshot["stats"]["turns"] == snapshot["current_turn"] == 3
    assert events[-1]["payload"]["reason"] == "completion"
    assert [e["payload"]["should_continue"] for e in events if e["type"] == "turn_completed"] == [True, True, False]
    assert [e["payload"]["path"] for e in events if e["type"] == "file_written"] == [
        "file-1.txt",
        "file-2.txt",
        "file-3.txt",
    ]
    logged = [e["payload"] for e in events if e["type"] == "log_updated"]
    assert logged[-1]["delta"]["tail"] == ["progress 1", "progress 2", "progress 3", "ALL DONE"]
    said = [response["output_items"][0]["content"] for response in run.responses()]
    assert said == [f"turn {turn} attempt 1 of {run.id}\n" for turn in (1, 2, 3)]


def test_a_line_from_before_the_run_completes_nothing(service: Service):
    place = service.workspace()
    (place / "log.md").write_text("ALL DONE\n")
    (place / ".stop").touch()
    run = service.start("true", working_dir=place, completion={"log": "log.md", "pattern": "ALL DONE"}, max_turns=2)
    run.wait("completed")
    assert check_ended(run)[-1]["payload"]["reason"] == "max_turns"


def test_a_stop_file_ends_the_run(service: Service):
    run = service.start('[ "$CODY_TURN" -lt 2 ] || touch .stop', max_turns=None)
    snapshot = run.wait("completed")
    assert snapshot["completion"]["source"] == "stop_file"
    assert check_ended(run)[-1]["payload"]["reason"] == "stop_file"


def test_the_agent_may_say_that_it_is_done(service: Service):
    run = service.start("""echo '{"__cody_event__": {"type": "completion_detected", "source": "agent"}}'""")
    run.wait("completed")
    assert check_ended(run)[-1]["payload"]["reason"] == "completion"


def test_a_budget_of_tokens_ends_the_run_after_its_turn(service: Service):
    script = """echo '{"__cody_event__": {"type": "token_usage", "inputTokens": 30, "outputTokens": 20}}'"""
    run = service.start(script, budget={"max_tokens": 100}, max_turns=None)
    snapshot = run.wait("completed")
    events = check_ended(run)
    assert events[-1]["payload"]["reason"] == "budget"
    going_on = [event["payload"]["should_continue"] for event in events if event["type"] == "turn_completed"]
    assert going_on == [True] * (len(going_on) - 1) + [False]
    assert snapshot["stats"] == {"turns": 2, "tokens": 100, "prompt_tokens": 60, "completion_tokens": 40}


def test_a_budget_of_time_ends_the_run_after_its_turn(service: Service):
    run = service.start("sleep 0.2", budget={"max_duration_seconds": 0.3}, max_turns=None)
    run.wait("completed")
    assert check_ended(run)[-1]["payload"]["reason"] == "budget"


def test_a_single_turn_run_is_a_run_like_any_other(service: Service):
    run = service.start("cat", single=True, prompt="say this")
    snapshot = run.wait("completed")
    events = check_ended(run)
    assert snapshot["kind"] == "single"
    assert events[-1]["payload"]["reason"] == "single_turn"
    assert run.responses()[0]["output_items"][0]["content"] == "say this"


def test_a_failure_is_retried_and_counts_its_tokens(service: Service):
    script = """
    echo '{"__cody_event__": {"type": "token_usage", "prompt_tokens": 10, "completion_tokens": 1}}'
    [ "$CODY_ATTEMPT" -eq 2 ] || exit 7
    """
    run = service.start(script, max_turns=1)
    snapshot = run.wait("completed")
    events = check_ended(run)
    failed = next(event for event in events if event["type"] == "turn_failed")
    assert failed["payload"]["will_retry"] is True
    assert failed["payload"]["error"]["details"] == {"exit_code": 7}
    assert snapshot["stats"]["tokens"] == 22
    assert [response["attempt"] for response in run.responses()] == [2]


@pytest.mark.parametrize(
    ("agent", "exit_code", "attempts"),
    [(["./not-there"], 127, 1), (["/"], 126, 1), (["sh", "-c", "exit 5"], 5, 2)],
)
def test_a_run_fails_with_the_error_of_its_turn(agent: list[str], exit_code: int, attempts: int, service: Service):
    run = service.start(agent, turn_attempts=2)
    snapshot = run.wait("failed")
    events = check_ended(run)
    assert snapshot["error"]["code"] == "agent_exit"
    assert snapshot["error"]["details"] == {"exit_code": exit_code}
    assert events[-1]["payload"]["error"] == snapshot["error"] == events[-2]["payload"]["error"]
    assert snapshot["attempt"] == attempts


def test_a_turn_that_takes_too_long_is_ended(service: Service):
    run = service.start("sleep 600", turn_timeout_seconds=0.5, turn_attempts=1)
    assert run.wait("failed")["error"]["code"] == "turn_timeout"
    check_ended(run)


def test_the_prompt_is_built_anew_for_every_turn_and_kept(service: Service):
    place = service.workspace()
    (place / "design.md").write_text("the design")
    prompt = {"template": "Do it.", "state_files": ["state.md", "missing.md"], "reference_files": ["design.md"]}
    script = 'cat > got-$CODY_TURN; cmp "$CODY_PROMPT_FILE" got-$CODY_TURN && echo "after $CODY_TURN" >> state.md'
    run = service.start(script, working_dir=place, prompt=prompt, max_turns=2)
    run.wait("completed")
    for turn in (1, 2):
        kept = service.http.get(f"{run.path}/turns/{turn}/prompt").text
        assert (place / f"got-{turn}").read_text() == kept
        order = [kept.index(part) for part in ("Do it.", "=== CURRENT STATE ===", "=== REFERENCE ===", "the design")]
        assert order == sorted(order)
        assert kept.rstrip().endswith("=== BEGIN WORK ===")
        assert ("after 1" in kept) == (turn == 2)


def test_a_state_file_that_cannot_be_read_fails_the_turn_with_its_path(service: Service):
    place = service.workspace()
    (place / "state.md").mkdir()
    run = service.start("true", working_dir=place, prompt={"state_files": ["state.md"]})
    error = run.wait("failed")["error"]
    assert "state.md" in error["message"]
    check_ended(run)


def test_the_environment_is_an_allow_list_and_what_the_run_gives(service: Service):
    run = service.start("env", max_turns=1, env={"MINE": "yes", "CODY_TURN": "77"})
    run.wait("completed")
    lines = dict(line.partition("=")[::2] for line in run.responses()[0]["output_items"][0]["content"].splitlines())
    assert lines["MINE"] == "yes"
    assert lines["CODY_TURN"] == "1"
    assert not {"REDIS_URL", "DATABASE_URL", "TEMPORAL_ADDRESS"} & set(lines)


def test_events_leave_while_the_agent_runs(service: Service):
    place = service.workspace()
    script = """
    printf 'half a line'
    echo '{"__cody_event__": {"type": "file_read", "path": "a.py"}}' >&2
    while [ ! -e go ]; do sleep 0.02; done
    """
    run = service.start(script, working_dir=place, max_turns=1)
    assert run.event("subprocess_output")["payload"] == {"stream": "stdout", "text": "half a line", "omitted_bytes": 0}
    assert run.event("file_read")["payload"] == {"path": "a.py"}
    eventually(lambda: run.snapshot()["pid"], what="the agent's pid in the snapshot")
    assert run.responses()[0]["status"] == "in_progress"
    (place / "go").touch()
    run.wait("completed")
    check_ended(run)


def test_a_flood_is_kept_whole_and_never_slows_the_agent(service: Service):
    run = service.start("yes 0123456789abcdef | head -c 20000000; echo end", max_turns=1)
    run.wait("completed")
    events = check_ended(run)
    said = [event["payload"] for event in events if event["type"] == "subprocess_output"]
    assert sum(len(p["text"].encode()) + p["omitted_bytes"] for p in said) == 20_000_004
    assert all(len(p["text"].encode()) <= 2048 for p in said)
    output = service.http.get(f"{run.path}/turns/1/output").text
    assert len(output) == 20_000_004
    assert output.endswith("end\n")


def test_tests_that_the_agent_runs_are_seen(service: Service):
    script = "echo '===== 3 passed, 1 failed, 2 skipped in 0.12s ====='"
    run = service.start(script, max_turns=1)
    run.wait("completed")
    done = next(event for event in check_ended(run) if event["type"] == "test_run_completed")
    assert (done["payload"]["passed"], done["payload"]["failed"], done["payload"]["skipped"]) == (3, 1, 2)


def test_telemetry_that_is_not_valid_is_a_warning(service: Service):
    run = service.start("""echo '{"__cody_event__": {"type": "no_such"}}'""", max_turns=1)
    run.wait("completed")
    warning = next(event for event in check_ended(run) if event["type"] == "warning")
    assert warning["payload"]["code"] == "invalid_telemetry"


def test_a_later_run_in_the_same_directory_is_warned(service: Service):
    place = service.workspace()
    first = service.start("while [ ! -e go ]; do sleep 0.02; done", working_dir=place, max_turns=1)
    second = service.start("true", working_dir=place, max_turns=1)
    second.wait("completed")
    (place / "go").touch()
    first.wait("completed")
    shared = [[e for e in check_ended(run) if e["type"] == "warning"] for run in (first, second)]
    assert not shared[0]
    assert shared[1][0]["payload"]["code"] == "working_dir_shared"


def test_the_loop_delay_lies_between_turns(service: Service):
    run = service.start("true", max_turns=2, loop_delay_seconds=0.5)
    run.wait("completed")
    events = check_ended(run)
    (first_end, _), starts = (
        [e["timestamp"] for e in events if e["type"] == type_] for type_ in ("turn_completed", "turn_started")
    )
    assert starts[1] - first_end >= 490
    assert types(events, "run_started", "turn_completed", "run_completed")[-1] == "run_completed"
