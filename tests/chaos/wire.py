"""The wire between Cody and Redis: a proxy that is slow, or cuts connections in the middle of what is said."""

import asyncio
import random
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress

_CHUNK = 1 << 16


class Cut(Exception):
    """This connection ends here."""


class Wire:
    """Passes everything on, until it is to be `slow` (up to so many seconds a chunk) or to `cut` one chunk in so many.

    A chunk that is cut is passed on in part, or not at all: so requests arrive in halves, replies are lost after Redis
    has done what was asked, and replies come in halves.
    """

    def __init__(self, port: int, seed: str) -> None:
        self.url = ""
        self.slow_seconds = 0.0
        self.cut_one_in = 0
        self._port = port
        self._dice = random.Random(seed)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either side ends it."""
        ends = [writer]
        try:
            replies, redis = await asyncio.open_connection("127.0.0.1", self._port)
            ends.append(redis)
            ways = [asyncio.create_task(self._pass(*way)) for way in ((reader, redis), (replies, writer))]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        except OSError:
            pass  # Redis is away: so is its wire
        finally:
            for end in ends:
                end.close()
                with suppress(OSError):
                    await end.wait_closed()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(_CHUNK):
            if self.slow_seconds:
                await asyncio.sleep(self._dice.uniform(0, self.slow_seconds))
            if self.cut_one_in and self._dice.randrange(self.cut_one_in) == 0:
                writer.write(chunk[: self._dice.randrange(len(chunk))])
                await writer.drain()
                raise Cut
            writer.write(chunk)
            await writer.drain()


@contextmanager
def wire_to(port: int, seed: str) -> Generator[Wire]:
    """A wire to the Redis at this port of loopback, served by a thread of its own."""
    wire, up, down = Wire(port, seed), threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        serving: set[asyncio.Task[None]] = set()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(wire.serve(reader, writer))
            serving.add(task)
            task.add_done_callback(serving.discard)

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        wire.url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
        up.set()
        await down.wait()
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), name="wire")
    thread.start()
    try:
        up.wait()
        yield wire
    finally:
        loop.call_soon_threadsafe(down.set)
        thread.join()
        loop.close()
