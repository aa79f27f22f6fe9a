"""Many readers and many runs: a stream that is dropped and resumed, and runs that do not hear each other."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cody.contract.cursor import Cursor
from cody.fold import RunFolder
from tests.e2e.models.answers import APIS, HOLD, Api, Text, answer, scenario
from tests.e2e.models.checks import finished, plain, start, texts
from tests.e2e.models.playing import Play, Providers
from tests.service import Frame, Run, Service


def split(api: Api, text: str, name: str = "a") -> dict[str, Any]:
    """A scenario of this text with a hold in the middle."""
    chunks = answer(api, name, Text(text))
    return scenario(api, [*chunks[: len(chunks) // 2], HOLD, *chunks[len(chunks) // 2 :]])


@pytest.mark.parametrize("api", APIS)
def test_a_stream_that_was_dropped_half_way_is_resumed_without_loss(
    api: Api, models: Service, providers: Providers
) -> None:
    play = providers.play(split(api, "The quick brown fox jumps over the lazy dog, and then over the fence."))
    run = start(models, play, plain(api))
    frames: list[Frame] = []
    with run.stream() as stream:
        while len([frame for frame in frames if frame.event == "item_delta"]) < 3:
            frame = stream.next()
            assert frame is not None
            frames.append(frame)
    play.release()
    run.wait("completed")
    with run.stream(headers={"Last-Event-ID": frames[-1].id or ""}) as stream:
        frames += stream.rest()
    frames = [frame for frame in frames if frame.event]
    assert [frame.seq for frame in frames] == list(range(1, len(frames) + 1))
    assert hydrated(frames) == run.responses()
    response, _ = finished(run)
    assert texts(response) == ["The quick brown fox jumps over the lazy dog, and then over the fence."]


def hydrated(frames: list[Frame]) -> list[dict[str, Any]]:
    """The responses that the frames fold to."""
    folder = RunFolder()
    for frame in frames:
        folder.feed(Cursor.parse(frame.id or ""), frame.event or "", frame.data or "")
    return [response.model_dump(mode="json") for response in folder.responses.values()]


def test_two_runs_at_once_do_not_hear_each_other(models: Service, providers: Providers) -> None:
    said: dict[Api, str] = {"openai": "I am the one behind the first.", "anthropic": "I am the other, and stay so."}
    plays = {api: providers.play(split(api, said[api])) for api in APIS}
    runs = {api: start(models, plays[api], plain(api)) for api in APIS}
    for run in runs.values():
        run.event("item_delta")  # both are in the middle of their text
    for play in plays.values():
        play.release()
    for api, run in runs.items():
        response, events = finished(run)
        assert texts(response) == [said[api]]
        assert {event["run_id"] for event in events} == {run.id}
        plays[api].check()


def test_fifty_runs_at_once_each_get_their_own_answer(models: Service, providers: Providers) -> None:
    def begin(number: int) -> tuple[str, Play, Run]:
        api, text = APIS[number % 2], f"Answer number {number}, " * 20
        play = providers.play(split(api, text, name=f"n{number}"))
        return text, play, start(models, play, plain(api))

    def end(each: tuple[str, Play, Run]) -> None:
        text, play, run = each
        response, _ = finished(run)
        assert texts(response) == [text]
        play.check()

    with ThreadPoolExecutor(10) as pool:
        begun = list(pool.map(begin, range(50)))
        for _, _, run in begun:
            run.event("item_delta", seconds=60)  # all of them are being answered at this moment
        for _, play, _ in begun:
            play.release()
        list(pool.map(end, begun))
