"""What is kept of an attempt beside its response: who has it, its prompt, its output."""

import asyncio

from cody.store import Store
from tests.integration.store.store_stage import begin, opened


async def output(store: Store, run_id: str, attempt: int = 1) -> bytes:
    return b"".join([part async for part in store.turns.output(run_id, 1, attempt)])


async def test_one_execution_has_an_attempt(database_url: str) -> None:
    async with opened(database_url) as one, opened(database_url) as other:
        run_id = await begin(one)
        claims = [
            each.turns.claim(run_id, 1, 1, f"owner_{n}", f"prompt {n}") for n, each in enumerate([one, other] * 5)
        ]
        got = await asyncio.gather(*claims)
        assert got.count(True) == 1
        winner = got.index(True)
        assert await one.turns.prompt(run_id, 1, 1) == f"prompt {winner}"
        assert await one.turns.claim(run_id, 1, 1, f"owner_{winner}", "told again")
        assert await one.turns.prompt(run_id, 1, 1) == f"prompt {winner}"
        assert await one.turns.claim(run_id, 1, 2, "owner_x", "second")
        assert await one.turns.newest_attempt(run_id, 1) == 2


async def test_the_prompt_of_the_newest_attempt_unless_told(store: Store) -> None:
    run_id = await begin(store)
    assert await store.turns.prompt(run_id, 1, None) is None
    assert await store.turns.newest_attempt(run_id, 1) is None
    for attempt, text in ((1, "first"), (10, "tenth — ü"), (9, "")):
        await store.turns.claim(run_id, 1, attempt, "me", text)
    assert await store.turns.prompt(run_id, 1, None) == "tenth — ü"
    assert await store.turns.prompt(run_id, 1, 9) == ""
    assert await store.turns.prompt(run_id, 1, 2) is None


async def test_output_comes_back_whole_and_in_order(store: Store) -> None:
    run_id = await begin(store)
    parts = [bytes([n]) * 1000 for n in range(12)]
    await asyncio.gather(*(store.turns.keep_output(run_id, 1, 1, n, part) for n, part in enumerate(parts)))
    await store.turns.keep_output(run_id, 1, 2, 0, b"another attempt")
    await store.turns.keep_output(run_id, 1, 1, 3, b"told again")
    assert await output(store, run_id) == b"".join(parts)
    assert await output(store, run_id, 2) == b"another attempt"
    assert await output(store, run_id, 3) == b""
