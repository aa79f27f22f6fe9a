"""Workers that are killed with -9 while tools of a model run, and between them: no tool runs twice.

Each tool appends a line to the file `ran`, so what ran is there to be counted.
"""

import json
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.models.answers import APIS, HOLD, TOKENS, Api, Call, Text, answer, scenario
from tests.e2e.models.checks import finished, outputs, plain, start, texts
from tests.e2e.models.playing import Play, Providers
from tests.e2e.runs.checks import processes_of, types
from tests.service import Run, Service, eventually, running

EACH_ANSWER = sum(TOKENS)


@pytest.fixture(scope="module")
def mortal(providers: Providers, tmp_path_factory: pytest.TempPathFactory) -> Generator[Service]:
    """A service whose worker is killed."""
    with running(tmp_path_factory.mktemp("mortal"), providers.env) as service:
        yield service


def kill_worker(service: Service) -> None:
    worker = service.part("worker")
    worker.kill()
    worker.wait()


def shell(name: str, then: str = "true") -> Call:
    """A tool call that says its name in `ran`."""
    return Call(f"call_{name}", "shell", {"command": f"echo {name} >> ran && {then}"})


def lines(root: Path) -> list[str]:
    path = root / "ran"
    return path.read_text().split() if path.exists() else []


def outputs_sent(api: Api, body: dict[str, Any]) -> dict[str, str]:
    """The tool outputs of a request, by call."""
    if api == "openai":
        return {item["call_id"]: item["output"] for item in body["input"] if item["type"] == "function_call_output"}
    blocks = [
        block for message in body["messages"] if isinstance(message["content"], list) for block in message["content"]
    ]
    return {block["tool_use_id"]: block["content"] for block in blocks if block["type"] == "tool_result"}


@dataclass(frozen=True)
class Lost:
    """A run that lost its worker, and what it was asked."""

    run: Run
    play: Play
    api: Api


def begin_tools(api: Api, service: Service, providers: Providers) -> Lost:
    """Its second tool is under way."""
    calls = (shell("one"), shell("two", "touch started && sleep 1000"), shell("three"))
    play = providers.play(scenario(api, answer(api, "a", *calls), answer(api, "b", Text("Done."))))
    run = start(service, play, plain(api), root=service.workspace())
    eventually((run.dir / "started").exists)
    return Lost(run, play, api)


def begin_answer(api: Api, service: Service, providers: Providers) -> Lost:
    """Its first tool is done, and its second answer is under way."""
    second = answer(api, "b", Text("And now the other."), shell("two"))
    middle = len(second) // 2
    held = {"chunks": [*second[:middle], HOLD, *second[middle:]], "times": 2}
    first, last = answer(api, "a", Text("First one."), shell("one")), answer(api, "c", Text("Done."))
    play = providers.play(scenario(api, first, held, last))
    run = start(service, play, plain(api), root=service.workspace())
    with run.stream() as stream:
        stream.until(lambda frame: frame.event == "item_delta" and "And now" in frame.json["payload"]["delta_content"])
    return Lost(run, play, api)


@pytest.fixture(scope="module")
def lost(mortal: Service, providers: Providers) -> dict[tuple[str, Api], Lost]:
    """A run of each kind and provider, all of which lose their worker at once."""
    begun = {("tool", api): begin_tools(api, mortal, providers) for api in APIS}
    begun |= {("answer", api): begin_answer(api, mortal, providers) for api in APIS}
    kill_worker(mortal)
    for each in begun.values():
        each.play.release()
    return begun


@pytest.mark.parametrize("api", APIS)
def test_a_tool_under_way_is_answered_interrupted_and_the_others_run_once(
    api: Api, lost: dict[tuple[str, Api], Lost]
) -> None:
    run, play = lost["tool", api].run, lost["tool", api].play
    response, events = finished(run)

    assert lines(run.dir) == ["one", "two", "three"]
    assert processes_of(run) == []
    assert [success for success, _ in outputs(response)] == [True, False, True]
    assert outputs(response)[1][1] == "interrupted"
    assert texts(response) == ["Done."]
    play.check()
    _, second = play.bodies
    sent = outputs_sent(api, second)
    assert list(sent) == ["call_one", "call_two", "call_three"]
    assert sent["call_two"] == "interrupted"
    assert types(events, "turn_started", "turn_failed") == ["turn_started", "turn_started"]
    assert run.snapshot()["stats"]["tokens"] == 2 * EACH_ANSWER


@pytest.mark.parametrize("api", APIS)
def test_between_tools_the_next_attempt_asks_only_for_what_it_does_not_have(
    api: Api, lost: dict[tuple[str, Api], Lost]
) -> None:
    run, play = lost["answer", api].run, lost["answer", api].play
    response, _ = finished(run)

    assert lines(run.dir) == ["one", "two"]
    assert texts(response) == ["First one.", "And now the other.", "Done."]
    assert [success for success, _ in outputs(response)] == [True, True]
    play.check()
    bodies = play.bodies
    asked = [list(outputs_sent(api, body)) for body in bodies]
    assert asked == [[], ["call_one"], ["call_one"], ["call_one", "call_two"]]
    # What was asked again is word for word what was asked before: the provider's cache serves it.
    assert json.dumps(bodies[1]) == json.dumps(bodies[2])
    # The worker was lost before the second answer told its tokens.
    assert run.snapshot()["stats"]["tokens"] == 3 * EACH_ANSWER


def test_workers_that_die_again_and_again_run_no_tool_twice(mortal: Service, providers: Providers) -> None:
    names = [f"{step}-{place}" for step in range(4) for place in range(3)]
    steps = [[name for name in names if name.startswith(f"{step}-")] for step in range(4)]
    answers = [
        answer("openai", f"s{step}", *(shell(name, "sleep 0.05") for name in calls)) for step, calls in enumerate(steps)
    ]
    play = providers.play(scenario("openai", *answers, answer("openai", "end", Text("Done."))))
    root = mortal.workspace()
    run = start(mortal, play, plain("openai"), root=root)
    for enough in (2, 7):
        eventually(lambda: len(lines(root)) >= enough)  # noqa: B023  # looked at before it changes
        kill_worker(mortal)
    response, _ = finished(run)

    ran, told = Counter(lines(root)), outputs(response)
    assert max(ran.values()) == 1
    assert len(told) == len(names)
    for name, (success, output) in zip(names, told, strict=True):
        assert ran[name] == 1 if success else output == "interrupted"
    # At each death one call was under way at most, and one answer.
    assert sum(not success for success, _ in told) <= 2
    assert texts(response) == ["Done."]
