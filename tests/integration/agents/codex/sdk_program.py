"""What the SDK's own `AsyncCodex` tells of a turn: prints the kinds of its finished items, as JSON.

Arguments: the provider's address and the model. It runs in the working directory, with the environment's CODEX_HOME.
"""

import asyncio
import json
import sys

from openai_codex import AsyncCodex


async def main(base_url: str, model: str) -> None:
    provider = {"name": "test", "base_url": base_url, "wire_api": "responses"}
    config = {"model_provider": "test", "model_providers": {"test": provider}}
    async with AsyncCodex() as codex:
        thread = await codex.thread_start(model=model, config=config)
        turn = await thread.turn("hello")
        heard = [each async for each in turn.stream()]
    kinds = [each.payload.item.root.type for each in heard if each.method == "item/completed"]
    sys.stdout.write(json.dumps(kinds))


asyncio.run(main(*sys.argv[1:]))
