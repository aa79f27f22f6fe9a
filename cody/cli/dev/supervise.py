"""Keeps the parts running: starts them, waits until they are ready, starts again what dies, ends all of them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from cody.cli.dev.part import Part, Running

Say = Callable[[str], None]
Probe = Callable[[], Awaitable[str | None]]
"""None when the part is ready, else what is still missing."""

_PROBE_PAUSE_SECONDS = 0.05
_RESTART_FIRST_SECONDS = 0.2
_RESTART_MAX_SECONDS = 5.0
_STEADY_SECONDS = 30.0
"""A part that lived this long is no longer failing in a row."""
_REAP_SECONDS = 2.0


class StartFailedError(Exception):
    """A part did not come up; the message says which, why, and what it said last."""


class Supervisor:
    """The parts of one `cody dev`. `say` gets a line for what a person should know."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._running: dict[str, Running] = {}
        self._keepers: set[asyncio.Task[None]] = set()
        self._hurry = asyncio.Event()

    async def start(self, *parts: Part) -> None:
        """Start the parts without waiting for them."""
        for part in parts:
            self._running[part.name] = await Running.start(part)

    async def ready(self, name: str, probe: Probe, within: timedelta, *, needs: Sequence[str] = ()) -> None:
        """Wait until `probe` finds the part ready. Raises StartFailedError when it, or one it `needs`, ends first."""
        until = asyncio.get_running_loop().time() + within.total_seconds()
        while missing := await probe():
            for each in (name, *needs):
                running = self._running[each]
                if running.ended:
                    raise StartFailedError(_failure(running, f"ended with {running.how_it_ended()}"))
            if asyncio.get_running_loop().time() > until:
                running = self._running[name]
                raise StartFailedError(
                    _failure(running, f"did not come up in {within.total_seconds():.0f} s: {missing}")
                )
            await asyncio.sleep(_PROBE_PAUSE_SECONDS)

    def keep(self, *names: str) -> None:
        """From now on, start these again when they end."""
        for name in names:
            self._keepers.add(asyncio.create_task(self._keep(name), name=f"keep {name}"))

    async def watch(self) -> None:
        """Keep what is to be kept, for ever; raises what breaks the supervision itself."""
        await asyncio.gather(*self._keepers)

    async def stop(self, waves: Sequence[Sequence[str]], within: timedelta) -> None:
        """End everything, wave after wave: ask each wave, then kill what is left of it.

        All waves together take at most `within`; a wave before the last may use up to four fifths of what is left.
        """
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        until = asyncio.get_running_loop().time() + within.total_seconds()
        for number, wave in enumerate(waves, start=1):
            left = until - asyncio.get_running_loop().time()
            await self._end(wave, left if number == len(waves) else left * 0.8)

    def hurry(self) -> None:
        """Kill what is asked to end, now."""
        self._hurry.set()

    async def _keep(self, name: str) -> None:
        pause = _RESTART_FIRST_SECONDS
        while True:
            running = self._running[name]
            await running.process.wait()
            now = asyncio.get_running_loop().time()
            if now - running.started_at > _STEADY_SECONDS:
                pause = _RESTART_FIRST_SECONDS
            how, log = running.how_it_ended(), running.part.log
            self._say(f"{name} ended ({how}); starting it again in {pause:.1f} s · log: {log}")
            await asyncio.sleep(pause)
            pause = min(pause * 2, _RESTART_MAX_SECONDS)
            self._running[name] = await Running.start(running.part)

    async def _end(self, names: Sequence[str], seconds: float) -> None:
        wave = [self._running[name] for name in names if name in self._running]
        for running in wave:
            running.terminate()
        gone = asyncio.ensure_future(asyncio.gather(*(running.process.wait() for running in wave)))
        hurry = asyncio.create_task(self._hurry.wait())
        await asyncio.wait({gone, hurry}, timeout=max(seconds, 0), return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        for running in wave:
            if not running.ended:
                if not self._hurry.is_set():
                    self._say(f"{running.part.name} does not end; killing it")
                running.kill()
        await asyncio.wait_for(gone, _REAP_SECONDS)


def _failure(running: Running, why: str) -> str:
    said = running.said() or "(nothing)"
    return f"{running.part.name} {why}\n--- the end of {running.part.log} ---\n{said}"
