"""Bad input of every kind gets its 4xx, which names the field, and leaves nothing behind."""

import copy
import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.e2e.api.api_checks import problem, refused
from tests.service import Service

JSON = {"Content-Type": "application/json"}
HUGE = 10**400


def full(place: Path) -> dict[str, Any]:
    """A request with every field; what it names need not be there."""
    return {
        "agent": {"kind": "command", "command": ["true"]},
        "working_dir": str(place),
        "epic_id": "bad-input",
        "prompt": {"template": "…", "state_files": ["state.md"], "reference_files": ["design.md"]},
        "max_turns": 1,
        "loop_delay_seconds": 0,
        "turn_timeout_seconds": 60,
        "turn_attempts": 1,
        "completion": {"log": "log.md", "pattern": "^ALL DONE$", "scan_tail_lines": 50, "stop_file": ".stop"},
        "budget": {"max_tokens": 1000, "max_duration_seconds": 60},
        "watch": {"logs": ["log.md"], "include": ["**/*"], "exclude": [".git/**"]},
        "env": {"KEY": "value"},
        "metadata": {"any": "string"},
    }


@pytest.fixture
def place(service: Service) -> Generator[Path]:
    """A working directory; after the test it is as it was, and no run was left in the listing."""
    place = service.workspace()
    newest = service.http.get("/api/runs", params={"limit": 1}).json()["runs"]
    yield place
    assert service.http.get("/api/runs", params={"limit": 1}).json()["runs"] == newest
    assert list(place.iterdir()) == []
    place.rmdir()


def sent(service: Service, body: bytes, path: str = "/api/runs/continuous", **headers: str) -> httpx.Response:
    return service.http.post(path, content=body, headers={**JSON, **headers})


def with_field(body: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The body with one field changed; `a.b` is inside `a`."""
    changed = copy.deepcopy(body)
    *outer, last = path.split(".")
    inner: Any = changed
    for name in outer:
        inner = inner[name]
    inner[last] = value
    return changed


WRONG: dict[str, list[Any]] = {
    "agent": [None, "command", [], 1],
    "agent.kind": [None, "gpt", "COMMAND", 1, ["command"], ""],
    "agent.command": [None, "ls -l", [], {}, 1],
    "working_dir": [None, 1, ["x"], "", "a\0b", "/" + "x" * 5000],
    "epic_id": ["", "a b", "a/b", "x" * 129, "ä", "a\n", 1, ["x"]],
    "prompt": [1, True, ["x"], "a\0b"],
    "prompt.template": [1, None, "a\0b"],
    "prompt.state_files": ["state.md", None, {}],
    "max_turns": ["3", True, 0, -1, 1.5, HUGE, [], "x"],
    "loop_delay_seconds": ["0", True, -1, HUGE, [1]],
    "turn_timeout_seconds": ["60", True, 0, -1, 1e300],
    "turn_attempts": ["1", True, 0, 1000, 1.5],
    "completion": ["x", [], 1],
    "completion.pattern": ["(?=x)", "[", "(?<a>", r"\1", "a{9999}", "(" * 2000, 1, "a\0b"],
    "completion.scan_tail_lines": ["1", True, 0, -1, HUGE, None],
    "completion.stop_file": [None, 1],
    "budget": ["x", [], 1],
    "budget.max_tokens": ["1", True, 0, -1, 0.5],
    "budget.max_duration_seconds": ["1", True, 0, -1, HUGE],
    "watch": ["x", []],
    "watch.include": ["**/*", None, {}],
    "env": ["x", [], 1],
    "env.KEY": [1, None, True, "a\0b", ["x"]],
    "metadata": ["x", []],
    "metadata.any": [1, None, {}, "a\0b"],
}


@pytest.mark.parametrize("path", WRONG)
def test_a_wrong_value_is_refused_by_the_name_of_its_field(service: Service, place: Path, path: str):
    for value in WRONG[path]:
        body = with_field(full(place), path, value)
        answer = service.post(body)
        refused(answer, path)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"agent": {"kind": "command"}}, "agent.command"),
        ({"agent": {"command": ["x"]}}, "agent.kind"),
        ({"agent": {"kind": "openai"}}, "agent.model"),
        ({"agent": {"kind": "openai", "model": "m", "tools": ["sudo"]}}, "agent.tools.0"),
        ({"agent": {"kind": "anthropic", "model": "m", "thinking_budget": 1}}, "agent.thinking_budget"),
        ({"agent": {"kind": "command", "command": [""]}}, "agent.command.0"),
        ({"agent": {"kind": "command", "command": ["a\0b"]}}, "agent.command.0"),
        ({"agent": {"kind": "command", "command": ["a", 1]}}, "agent.command.1"),
        ({"env": {"": "x"}}, "env."),
        ({"env": {"A=B": "x"}}, "env.A=B"),
        ({"completion": {"pattern": "x"}}, "completion"),
    ],
)
def test_what_is_missing_or_wrong_further_in(service: Service, place: Path, change: dict[str, Any], field: str):
    refused(service.post({**full(place), **change}), field)


@pytest.mark.parametrize("name", ["door", "data", "maxTurns", "request", "state", "key", "", "a.b", "ü"])
@pytest.mark.parametrize("level", ["", "agent.", "prompt.", "completion.", "budget.", "watch."])
def test_an_unknown_field_is_refused_at_every_level(service: Service, place: Path, level: str, name: str):
    body = full(place)
    inner = body[level[:-1]] if level else body
    inner[name] = 1
    if not level and not name:
        problem(service.post(body), 400, "invalid_request")
    else:
        refused(service.post(body), level + name)


def test_all_faults_are_told_at_once(service: Service, place: Path):
    body = problem(service.post({**full(place), "max_turns": 0, "nope": 1, "env": {"A": 1}}), 400, "invalid_request")
    assert {fault["field"] for fault in body["errors"]} == {"max_turns", "nope", "env.A"}


def test_a_single_run_takes_no_loop_and_needs_its_prompt(service: Service, place: Path):
    body = {"agent": {"kind": "command", "command": ["true"]}, "working_dir": str(place)}
    refused(service.post(body, single=True), "prompt")
    refused(service.post({**body, "prompt": None}, single=True), "prompt")
    refused(service.post({**body, "prompt": {"template": "x"}}, single=True), "prompt")
    refused(service.post({**body, "prompt": "x", "max_turns": 1}, single=True), "max_turns")
    refused(service.post({**body, "prompt": "x", "thread_id": "a/b"}, single=True), "thread_id")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"}",
        b'{"agent": ',
        b"{'agent': 1}",
        b'{"agent": 1,}',
        b"nul",
        b"null",
        b"true",
        b"7",
        b'"x"',
        b"[]",
        b"[{}]",
        b"{} {}",
        b"\xff\xfe",
        b"\x00",
        b'{"agent": "\xff"}',
        b'{"epic_id": "\xed\xa0\x80"}',
        b"\xef\xbb\xbf{}",
        "{}".encode("utf-16"),
        b'{"epic_id": "\\ud800"}',
        b'{"metadata": {"\\udfff": "x"}}',
        b'{"\\ud800": 1}',
        b'{"max_turns": NaN}',
        b'{"max_turns": Infinity}',
        b'{"max_turns": -Infinity}',
        b'{"max_turns": 1e999}',
        b'{"max_turns": ' + b"9" * 5000 + b"}",
        b'{"max_turns": ' + b"9" * 500_000 + b"}",
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"agent": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"prompt": {"template": "' + b"\\u0000" * 1000 + b'"}}',
    ],
    ids=lambda body: repr(body[:24]),
)
@pytest.mark.parametrize("path", ["/api/runs", "/api/runs/continuous"])
def test_what_is_no_json_object_is_refused(service: Service, place: Path, path: str, body: bytes):
    answer = problem(sent(service, body, path), 400, "invalid_request")
    assert answer["errors"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_is_none_is_refused(service: Service, place: Path, value: float):
    body = json.dumps({**full(place), "loop_delay_seconds": value}).encode()
    refused(sent(service, body), "body")
    number = json.dumps({**full(place), "loop_delay_seconds": 7777}).encode().replace(b"7777", b"1e999")
    refused(sent(service, number), "loop_delay_seconds")


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml", "x"],
)
def test_another_content_type_is_refused(service: Service, place: Path, kind: str):
    refused(sent(service, json.dumps(full(place)).encode(), **{"Content-Type": kind}), "Content-Type")


def test_a_body_of_50_mb_is_413_and_its_sender_gets_to_read_it(service: Service, place: Path):
    body = json.dumps({**full(place), "metadata": {"a": "x" * 50_000_000}}).encode()
    problem(sent(service, body), 413, "body_too_large")
    problem(sent(service, body, "/api/runs"), 413, "body_too_large")
    problem(sent(service, body, "/api/runs/nope/control"), 413, "body_too_large")

    def chunks() -> Generator[bytes]:
        for at in range(0, len(body), 1 << 20):
            yield body[at : at + (1 << 20)]

    problem(service.http.post("/api/runs/continuous", content=chunks(), headers=JSON), 413, "body_too_large")
    assert service.http.get("/health/live").status_code == 200


# Where a run may work.


def test_a_working_dir_that_cannot_be_used_is_refused(service: Service, place: Path):
    file = service.root / "work" / "a-file"
    file.touch()
    loop = service.root / "work" / "a-loop"
    loop.symlink_to(loop)
    refusals = [place / "nope", file, file / "x", loop, loop / "x", "x", ".", "~", "work/1", "", f"{place}/{'x' * 300}"]
    try:
        for working_dir in refusals:
            refused(service.post({**full(place), "working_dir": str(working_dir)}), "working_dir")
        long = f"{place}/" + "x/" * 2500
        refused(service.post({**full(place), "working_dir": long}), "working_dir")
    finally:
        file.unlink()
        loop.unlink()


def test_a_working_dir_outside_the_roots_is_not_allowed(service: Service, place: Path):
    link, dangling = service.root / "work" / "out", service.root / "work" / "dangling"
    link.symlink_to("/etc")
    dangling.symlink_to("/nowhere")
    outside = ["/", "/etc", link, link / "ssl", dangling, service.root.parent, f"{place}/../../..", "/proc/1"]
    outside += [f"{place}/../../../../../etc", f"{service.root}-beside", f"//{service.root.parent}", "/nowhere"]
    try:
        for working_dir in outside:
            answer = service.post({**full(place), "working_dir": str(working_dir)})
            refused(answer, "working_dir", "working_dir_not_allowed")
            single = {"agent": {"kind": "command", "command": ["true"]}, "prompt": "", "working_dir": str(working_dir)}
            refused(service.post(single, single=True), "working_dir", "working_dir_not_allowed")
    finally:
        link.unlink()
        dangling.unlink()


def test_a_way_in_that_stays_inside_is_allowed(service: Service):
    real = service.workspace()
    link = real / "link"
    link.symlink_to(real)
    for working_dir in (link, f"{real}/../{real.name}", f"{real}/", service.root):
        run = service.start("true", working_dir=str(working_dir))
        assert run.wait("completed")["working_dir"] == str(working_dir)


LEAVING = ["../x", "..", "a/../../x", "/etc/passwd", "/", "", ".", "a\0b", "x" * 5000]


@pytest.mark.parametrize(
    "field",
    ["completion.log", "completion.stop_file", "prompt.state_files", "prompt.reference_files", "watch.logs"],
)
def test_a_path_that_leaves_the_directory_is_refused(service: Service, place: Path, field: str):
    outside = service.workspace()
    (place / "link").symlink_to(outside)
    (place / "loop").symlink_to("loop")
    try:
        for path in [*LEAVING, "link", "link/x", "loop", "loop/x"]:
            listed = field.partition(".")[2] in {"state_files", "reference_files", "logs"}
            body = with_field(full(place), field, ["fine", path] if listed else path)
            refused(service.post(body), f"{field}.1" if listed else field)
    finally:
        (place / "link").unlink()
        (place / "loop").unlink()
    assert list(outside.iterdir()) == []


# Anything else.

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["", "..", "/", "\0", "x" * 300]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = [*WRONG, "agent.x", "prompt.reference_files", "watch.logs", "watch.exclude", "completion.log", "x"]


@given(changes=st.dictionaries(st.sampled_from(FIELDS), JSON_VALUES, min_size=1, max_size=3), single=st.booleans())
@example(changes={"door": 1}, single=False)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_body_is_too_strange(service: Service, changes: dict[str, Any], single: bool):
    place = service.root / "work" / "strange"
    place.mkdir(exist_ok=True)
    body: Any = full(place)
    for path in sorted(changes):  # so that an outer field is replaced before what is inside it
        try:
            body = with_field(body, path, changes[path])
        except (TypeError, KeyError, IndexError):
            continue
    answer = sent(service, json.dumps(body).encode(), "/api/runs" if single else "/api/runs/continuous")
    if answer.status_code == 202:
        service.http.post(f"{answer.headers['location']}/cancel")  # it may be one without a limit
    else:
        assert problem(answer, 400, answer.json()["code"])["errors"]


@given(st.binary(max_size=200), st.sampled_from(["/api/runs", "/api/runs/continuous", "/api/runs/x/control"]))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_are_too_strange(service: Service, body: bytes, path: str):
    problem(sent(service, body, path), 400, "invalid_request")
