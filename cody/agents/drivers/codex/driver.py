"""The driver of Codex: one turn of one thread of it, from its start to its last word."""

import asyncio

from cody.agents.drivers.program import Speech
from cody.agents.drivers.speech import End, Order
from cody.contract.errors import AGENT_UNAVAILABLE, ErrorInfo

SDK = frozenset({"openai_codex", "codex_cli_bin"})


async def turn(order: Order, speech: Speech, interrupt: asyncio.Event) -> End:
    """Do the turn; without the SDK there is none."""
    try:
        from cody.agents.drivers.codex.turn import take_turn  # the SDK is an extra
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in SDK:
            raise
        message = "the SDK of Codex is not installed on this worker: pip install 'cody[codex]'"
        return End(error=ErrorInfo(code=AGENT_UNAVAILABLE, message=message), carry=order.carry)
    return await take_turn(order, speech, interrupt)
