"""TCP doors that can be shut: one on every edge of the world, each with faults of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType
from typing import Any, Self


class Fault(Enum):
    """What an edge does to its connections."""

    NONE = "passes everything"
    CUT = "refuses new connections, and resets those that there are"
    STALLED = "accepts, and passes nothing either way"
    DEAF = "passes what the client says, and none of the answers"


@dataclass(slots=True, eq=False)
class _Connection:
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    doomed: bool = False  # its next answer is lost

    def reset(self) -> None:
        for writer in (self.client, self.server):
            writer.transport.abort()


@dataclass(slots=True, eq=False)
class Edge:
    """A door to one server, for one client.

    Attributes:
        port: where the client finds it, on loopback.
        upstream: where it leads: a socket's path, or a host and a port.
    """

    name: str
    upstream: str | tuple[str, int]
    port: int = 0
    fault: Fault = Fault.NONE
    lost_replies: int = 0  # answers that never arrived
    _to_lose: int = 0
    _open: set[_Connection] = field(default_factory=set)


class Proxy:
    """All edges, served by one thread. A context manager."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._servers: list[asyncio.Server] = []
        self.edges: dict[str, Edge] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._call(self._close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def open(self, name: str, upstream: str | tuple[str, int]) -> Edge:
        """Make an edge; its port is free and chosen here."""
        edge = Edge(name, upstream)

        async def listen() -> None:
            server = await asyncio.start_server(
                lambda reader, writer: _serve(edge, reader, writer), "127.0.0.1", 0
            )
            edge.port = server.sockets[0].getsockname()[1]
            self._servers.append(server)

        self._call(listen)
        self.edges[name] = edge
        return edge

    def set(self, edge: Edge, fault: Fault) -> None:
        """Have an edge behave so from now on. Healing resets what was held back meanwhile."""

        async def change() -> None:
            was, edge.fault = edge.fault, fault
            if fault is Fault.CUT or was is not Fault.NONE:
                for connection in list(edge._open):
                    connection.reset()

        self._call(change)

    def lose_reply(self, edge: Edge) -> None:
        """Let the next request on an edge through, and reset its connection before the answer."""

        async def arm() -> None:
            edge._to_lose = 1

        self._call(arm)

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _call(self, action: Callable[[], Coroutine[Any, Any, None]]) -> None:
        asyncio.run_coroutine_threadsafe(action(), self._loop).result(10)


async def _serve(edge: Edge, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    if edge.fault is Fault.CUT:
        writer.transport.abort()
        return
    try:
        there = await _connect(edge.upstream)
    except OSError:
        writer.transport.abort()
        return
    connection = _Connection(writer, there[1])
    edge._open.add(connection)
    pumps = [
        asyncio.create_task(_requests(edge, connection, reader)),
        asyncio.create_task(_answers(edge, connection, there[0])),
    ]
    try:
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
    finally:
        edge._open.discard(connection)
        for pump in pumps:
            pump.cancel()
        connection.reset()


async def _connect(
    upstream: str | tuple[str, int],
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if isinstance(upstream, str):
        return await asyncio.open_unix_connection(upstream)
    return await asyncio.open_connection(*upstream)


async def _requests(edge: Edge, connection: _Connection, client: asyncio.StreamReader) -> None:
    with suppress(ConnectionError):
        while data := await client.read(65_536):
            while edge.fault is Fault.STALLED:
                await asyncio.sleep(0.1)
            if edge._to_lose:
                edge._to_lose, connection.doomed = 0, True
            connection.server.write(data)
            await connection.server.drain()


async def _answers(edge: Edge, connection: _Connection, server: asyncio.StreamReader) -> None:
    with suppress(ConnectionError):
        while data := await server.read(65_536):
            while edge.fault in (Fault.STALLED, Fault.DEAF):
                await asyncio.sleep(0.1)
            if connection.doomed:
                edge.lost_replies += 1
                return
            connection.client.write(data)
            await connection.client.drain()
