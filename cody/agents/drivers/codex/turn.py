"""One turn of Codex, from the start of its process to the end of it."""

import asyncio
from pathlib import Path

from openai_codex import CodexError, JsonRpcError

from cody.agents.drivers.codex import settings
from cody.agents.drivers.codex.client import Codex
from cody.agents.drivers.codex.events import Events
from cody.agents.drivers.codex.listening import Listening
from cody.agents.drivers.codex.transcript import Transcript
from cody.agents.drivers.program import Speech
from cody.agents.drivers.speech import End, Order
from cody.contract.errors import AGENT_EXIT, AGENT_UNAVAILABLE, SESSION_LOST, ErrorInfo
from cody.contract.payloads import Warned

THREAD = "codex_thread"
STOP_SECONDS = 1.5
"""How long the turn may take to end when that is asked for; there are signals after 2 s (`INTERRUPT_SHARE`)."""


async def take_turn(order: Order, speech: Speech, interrupt: asyncio.Event) -> End:
    """Do the turn of the order; the process of Codex is gone when it returns."""
    codex = Codex()
    turn = asyncio.create_task(_turn(order, speech, interrupt, codex))
    stopped = asyncio.create_task(interrupt.wait())
    try:
        await asyncio.wait((turn, stopped), return_when=asyncio.FIRST_COMPLETED)
        done, _ = await asyncio.wait((turn,), timeout=STOP_SECONDS)
        return await turn if done else End(interrupted=True, carry=order.carry)
    finally:
        await codex.close()


async def _turn(order: Order, speech: Speech, interrupt: asyncio.Event, codex: Codex) -> End:
    try:
        await codex.start()
        user = await codex.config()
        opened, lost = await codex.open(settings.thread_params(order, user), order.carry.get(THREAD))
    except (FileNotFoundError, JsonRpcError) as error:
        message = f"Codex cannot be started: {error}"
        return End(error=ErrorInfo(code=AGENT_UNAVAILABLE, message=message), carry=order.carry)
    except CodexError as error:
        return End(error=_broken(f"Codex did not start: {error}"), carry=order.carry)
    speech.begin(opened.model)
    if lost is not None:
        message = f"the session {order.carry[THREAD]} is gone, a fresh one begins: {lost}"
        speech.emit("warning", Warned(code=SESSION_LOST, message=message))
    thread = opened.thread
    carry = {THREAD: thread.id}
    transcript = Transcript(thread.path)
    transcript.mark()
    if interrupt.is_set():
        return End(interrupted=True, carry=order.carry)
    prompt = order.prompt if THREAD in order.carry and lost is None else order.first_prompt
    try:
        turn_id = await codex.begin(thread.id, prompt, settings.turn_params(order, user))
    except CodexError as error:
        return End(error=_broken(f"Codex did not begin the turn: {error}"), carry=order.carry)
    # Before its first turn a thread is nowhere written down, and nothing to go on with.
    speech.remember(**carry)
    events = Events(speech, order.response_id, (thread.id, turn_id), Path.cwd(), order.limits)
    end = await Listening(order, codex, events, transcript, interrupt).listen()
    return end.model_copy(update={"carry": carry})


def _broken(message: str) -> ErrorInfo:
    return ErrorInfo(code=AGENT_EXIT, message=message, retryable=True)
