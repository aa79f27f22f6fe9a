"""A response of 20 MB, and one whose one item has 5 MB: through the log, the documents and the streams."""

from dataclasses import dataclass

from tests.e2e.models.answers import Api, Text, answer, scenario
from tests.e2e.models.checks import plain, start_once, texts
from tests.e2e.models.playing import playing
from tests.scale.account import Account
from tests.scale.history import history_of
from tests.scale.meter import Meter
from tests.scale.reading import check_again, follow
from tests.service import Service

HISTORY_BYTES = 100_000
"""Of a run of one turn: nothing of what it says goes through Temporal."""
MEMORY_MB = {"worker": 400.0, "api": 400.0, "redis": 200.0, "temporal": 50.0}
_SECONDS = 600.0


@dataclass(frozen=True)
class Large:
    """So many messages of so many characters, each streamed in deltas of `delta` characters."""

    api: Api
    items: int
    characters: int
    delta: int


RESPONSE, ITEM = Large("anthropic", 200, 100_000, 200), Large("openai", 1, 5_000_000, 50)
SMALL_RESPONSE, SMALL_ITEM = Large("anthropic", 40, 500_000, 20_000), Large("openai", 1, 5_000_000, 20_000)


def take(service: Service, size: Large) -> Account:
    """A model that says all of it in one answer, and a client that follows it."""
    account = Account()
    wanted = [_text(number, size.characters) for number in range(size.items)]
    chunks = answer(size.api, "large", *map(Text, wanted), delta_length=size.delta)
    with playing() as providers:
        play = providers.play(scenario(size.api, chunks))
        with Meter(service) as meter:
            run = start_once(service, play, plain(size.api))
            followed = follow(run, _SECONDS)
        play.check()
    meter.report(account)
    account.memory(meter.grown_mb, MEMORY_MB)
    check_again(run, followed, account, MEMORY_MB["api"])
    (response,) = run.responses()
    account.equal("the items", texts(response), wanted)
    one = service.http.get(f"/api/responses/{response['id']}").raise_for_status()
    account.equal("the response alone", one.json(), response)
    account.tell(response_bytes=len(one.content), history_bytes=history_of(run).bytes)
    account.equal("the history is short", history_of(run).bytes < HISTORY_BYTES, True)
    return account


def _text(number: int, length: int) -> str:
    """Text of this many characters that is like no other's."""
    sentence = f"Item {number} goes on with a sentence that has a word in Greek: λόγος. "
    return (sentence * (length // len(sentence) + 1))[:length]
