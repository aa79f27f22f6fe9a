"""A small TCP proxy before Redis, which loses or holds back replies that Redis has already given."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

OnReply = Callable[[bytes, bytes], Awaitable[bytes | None]]
"""Gets the last request and the reply to it; gives what the client is to get, None to cut the connection instead."""


class Proxy:
    """Passes everything on, until told what to do with the replies."""

    def __init__(self) -> None:
        self.url = ""
        self.on_reply: OnReply = _pass

    def cut(self, command: bytes, times: int) -> None:
        """Lose the replies to the next `times` requests with this command, and their connections."""
        left = times

        async def cutting(request: bytes, reply: bytes) -> bytes | None:
            nonlocal left
            if left and command in request:
                left -= 1
                return None
            return reply

        self.on_reply = cutting

    def hold(self, command: bytes) -> tuple[asyncio.Event, asyncio.Event]:
        """Hold the replies to this command back; gives (a reply is there, let them go)."""
        held, go = asyncio.Event(), asyncio.Event()

        async def holding(request: bytes, reply: bytes) -> bytes:
            if command in request:
                held.set()
                await go.wait()
            return reply

        self.on_reply = holding
        return held, go

    async def serve(self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either side ends it."""
        request = b""
        to_server: asyncio.StreamWriter | None = None

        async def ask() -> None:
            nonlocal request
            while chunk := await reader.read(1 << 20):
                request = chunk
                there.write(chunk)
                await there.drain()

        async def answer() -> None:
            while reply := await from_server.read(1 << 20):
                passed = await self.on_reply(request, reply)
                if passed is None:
                    return
                writer.write(passed)
                await writer.drain()

        try:
            from_server, there = await asyncio.open_connection("127.0.0.1", port)
            to_server = there
            ways = [asyncio.create_task(ask()), asyncio.create_task(answer())]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        finally:
            for end in (writer, to_server):
                if end is not None:
                    end.close()
                    with suppress(ConnectionError):
                        await end.wait_closed()


async def _pass(_request: bytes, reply: bytes) -> bytes | None:
    return reply


@asynccontextmanager
async def proxy_to(port: int) -> AsyncGenerator[Proxy]:
    """A proxy to the Redis at this port of loopback."""
    proxy = Proxy()
    serving: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(proxy.serve(port, reader, writer))
        serving.add(task)
        task.add_done_callback(serving.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    proxy.url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    try:
        yield proxy
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
