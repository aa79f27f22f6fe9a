"""The scenarios of the provider server: streamed, persisted and expected by hand are one and the same."""

from collections.abc import Generator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from fixtures.providers.scenario import load, names
from tests.e2e.models.checks import agent_of, check_expected, finished, prepare, start, start_once
from tests.e2e.models.playing import Play, Providers
from tests.service import ENDED, Run, Service

SCENARIOS = {name: load(name) for name in names()}
THREADS = [name for name, scenario in SCENARIOS.items() if scenario.follows is not None]
SILENT = {"openai_stall", "anthropic_stall"}
"""Silence in mid-answer: this service waits long for that, as tests that hold an answer need it to."""
ALONE = [name for name in SCENARIOS if name not in {*THREADS, *SILENT}]
AT_ONCE = 12

Played = Mapping[str, "Future[tuple[Play, Run]]"]


@pytest.fixture(scope="module")
def played(request: pytest.FixtureRequest, models: Service, providers: Providers) -> Generator[Played]:
    """The scenarios that this session asks for, some at a time: most of them only wait."""

    def run_of(name: str) -> tuple[Play, Run]:
        scenario, play = SCENARIOS[name], providers.play(name)
        play.release()
        root = prepare(models, scenario)
        if scenario.expected_response.status == "error":
            run = start_once(models, play, agent_of(scenario), prompt=scenario.prompt, working_dir=str(root))
        else:
            run = start(models, play, agent_of(scenario), scenario.prompt, root=root)
        run.wait(*ENDED)
        return play, run

    asked = {item.callspec.params.get("alone") for item in request.session.items if hasattr(item, "callspec")}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {name: pool.submit(run_of, name) for name in ALONE if name in asked}


@pytest.mark.parametrize("alone", ALONE)
def test_a_scenario_comes_to_the_response_that_its_author_wrote_down(alone: str, played: Played) -> None:
    scenario, (play, run) = SCENARIOS[alone], played[alone].result()
    is_whole = scenario.expected_response.status == "complete"
    response, events = finished(run, "completed" if is_whole else "failed")
    check_expected(response, scenario)
    play.check()
    last = events[-1]
    if is_whole:
        assert last["payload"]["reason"] == "single_turn"
    else:
        assert last["payload"]["error"] == response["error"] == run.snapshot()["error"]


@pytest.mark.parametrize("name", THREADS)
def test_a_thread_goes_on_with_its_whole_history(name: str, models: Service, providers: Providers) -> None:
    thread = None
    for each in turns(name):
        scenario, play = SCENARIOS[each], providers.play(each)
        more = {"thread_id": thread} if thread else {}
        run = start(models, play, agent_of(scenario), scenario.prompt, root=prepare(models, scenario), **more)
        response, _ = finished(run)
        check_expected(response, scenario)
        play.check()
        thread = run.accepted["thread_id"]
    told = models.http.get(f"/api/threads/{thread}").raise_for_status().json()["responses"]
    assert [response["provider_id"] for response in told] == [SCENARIOS[each].provider for each in turns(name)]


def turns(name: str) -> list[str]:
    """The turns of its thread up to this one."""
    before = SCENARIOS[name].follows
    return [*(turns(before) if before else []), name]
