"""A conversation goes on over runs, turns and providers."""

from typing import Any

import pytest

from tests.e2e.models.answers import APIS, Api, Call, Text, answer, scenario
from tests.e2e.models.checks import finished, plain, start, texts
from tests.e2e.models.playing import Providers
from tests.service import Run, Service


def history(api: Api, *said: tuple[str, str]) -> dict[str, Any]:
    """What a request expects that carries this conversation: a role and a text each."""
    kinds = {"user": "input_text", "assistant": "output_text"} if api == "openai" else {}
    entries = [
        {"role": role, "content": [{"type": kinds.get(role, "text"), "text": {"$contains": text}}]}
        for role, text in said
    ]
    return {"input" if api == "openai" else "messages": entries}


@pytest.mark.parametrize("second", APIS)
@pytest.mark.parametrize("first", APIS)
def test_another_provider_gets_the_whole_history(
    first: Api, second: Api, models: Service, providers: Providers
) -> None:
    look = Call("call_1", "list_dir", {"path": "."})
    play = providers.play(
        scenario(first, answer(first, "a", Text("I look."), look), answer(first, "b", Text("There is one.")))
    )
    root = models.workspace()
    (root / "the-only-file").touch()
    run = start(models, play, plain(first), "What is here?", root=root)
    finished(run)
    play.check()

    expect = history(
        second, ("user", "What is here?"), ("assistant", "I look."), ("assistant", "There is one."), ("user", "Sure?")
    )
    again = providers.play(scenario(second, {"expect": expect, "chunks": answer(second, "c", Text("Quite."))}))
    thread = run.accepted["thread_id"]
    response, _ = finished(start(models, again, plain(second), "Sure?", root=root, thread_id=thread))
    assert texts(response) == ["Quite."]
    again.check()
    (body,) = again.bodies
    assert "the-only-file" in str(body)
    told = models.http.get(f"/api/threads/{thread}").raise_for_status().json()["responses"]
    assert [each["provider_id"] for each in told] == [first, second]


@pytest.mark.parametrize("api", APIS)
def test_the_turns_of_a_run_are_one_conversation(api: Api, models: Service, providers: Providers) -> None:
    second = history(api, ("user", "Count."), ("assistant", "One."), ("user", "Count."))
    play = providers.play(
        scenario(
            api,
            answer(api, "a", Text("One.")),
            {"expect": second, "chunks": answer(api, "b", Text("Two."))},
        )
    )
    body = {
        "agent": plain(api),
        "prompt": "Count.",
        "env": play.env,
        "max_turns": 2,
        "working_dir": str(models.workspace()),
    }
    answered = models.post(body)
    assert answered.status_code == 202, answered.text
    run = Run(models, answered.json(), models.root)
    run.wait("completed")
    assert [texts(response) for response in run.responses()] == [["One."], ["Two."]]
    play.check()
