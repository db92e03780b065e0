"""Attackers: a process that holds or hammers connections, as cheaply as it can.

    python benchmarks/attackers.py < plan.json

It is started by ``attacks.py`` with a plan on its standard input, and prints at the end what
came back. It gives way to other processes (``nice``), since a real attacker has a processor
of its own.
"""

import asyncio
import itertools
import json
import os
import resource
import select
import socket
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

HOST: Final = "127.0.0.1"

NICE: Final = 10

CONNECT_TIMEOUT: Final = 5.0
"""In seconds."""

_BATCH: Final = 50
"""Connections that are opened between two looks at those that are open."""

_POLL: Final = 0.02
"""Seconds that a look at all connections waits for something to happen."""

_CHUNK: Final = 1024 * 1024
"""Bytes that are read at once."""

_GONE: Final = select.POLLHUP | select.POLLERR | select.POLLRDHUP | select.POLLNVAL


@dataclass(frozen=True, slots=True)
class Plan:
    """What attackers do; texts are sent as Latin-1."""

    kind: str
    """``hold``: send the requests and never read. ``hammer``: read every answer, ask again."""
    connections: int
    requests: Sequence[str]
    """What each connection sends, whole requests or the beginning of one."""
    addresses: int = 1
    """From how many addresses they come: 127.0.0.2 and those above."""
    first_address: int = 2
    """The last number of the first of them."""
    pause: float = 0.0
    """Seconds between an answer and the next request of a hammer."""
    drip: str = ""
    """What a holder sends again and again."""
    drip_interval: float = 20.0
    """Seconds between two drips."""
    receive_buffer: int = 0
    """Bytes that the kernel keeps for a holder; 0 for its default."""
    port: int = 0
    seconds: float = 10.0

    def write(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self))

    @property
    def sources(self) -> list[str]:
        """The addresses that connections come from."""
        return [f"127.0.0.{self.first_address + n}" for n in range(self.addresses)]


def main() -> int:
    """Attack as the plan says; print what came back as JSON."""
    plan = Plan(**json.load(sys.stdin))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.nice(NICE)
    counts = hold(plan) if plan.kind == "hold" else asyncio.run(hammer(plan))
    json.dump(counts, sys.stdout)
    return 0


# ---- Connections that never read ---------------------------------------------------------


def hold(plan: Plan) -> Counter[str]:
    """Keep so many connections open; each that is cut is replaced by a new one."""
    counts: Counter[str] = Counter()
    opening = "".join(plan.requests).encode("latin-1")
    drip = plan.drip.encode("latin-1")
    poll = select.poll()
    connections: dict[int, socket.socket] = {}
    sources = itertools.cycle(plan.sources)
    end = time.monotonic() + plan.seconds
    next_drip = time.monotonic() + plan.drip_interval

    def close(descriptor: int) -> None:
        poll.unregister(descriptor)
        connections.pop(descriptor).close()
        counts["cut"] += 1

    while time.monotonic() < end:
        for _ in range(min(_BATCH, plan.connections - len(connections))):
            sock = _connecting(next(sources), plan)
            connections[sock.fileno()] = sock
            poll.register(sock, select.POLLOUT | select.POLLRDHUP)
            counts["opened"] += 1
        for descriptor, events in poll.poll(_POLL * 1000):
            if events & _GONE:
                close(descriptor)
                continue
            # It is connected now; whether the rest of it is ever sent does not matter.
            poll.modify(descriptor, select.POLLRDHUP)
            _send(connections[descriptor], opening)
        if drip and time.monotonic() > next_drip:
            next_drip += plan.drip_interval
            for sock in connections.values():
                _send(sock, drip)
        counts["open at most"] = max(counts["open at most"], len(connections))
    return counts


def _connecting(source: str, plan: Plan) -> socket.socket:
    sock = socket.socket()
    sock.setblocking(False)
    if plan.receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, plan.receive_buffer)
    sock.bind((source, 0))
    sock.connect_ex((HOST, plan.port))
    return sock


def _send(sock: socket.socket, data: bytes) -> None:
    try:
        sock.send(data)
    except OSError:
        # The next poll finds out that it is gone.
        return


# ---- Connections that ask again and again ------------------------------------------------


async def hammer(plan: Plan) -> Counter[str]:
    """Send requests over so many connections at once, each after the answer to the last."""
    counts: Counter[str] = Counter()
    sources = itertools.cycle(plan.sources)
    tasks = [
        asyncio.create_task(_hammer(plan, next(sources), number, counts))
        for number in range(plan.connections)
    ]
    _, pending = await asyncio.wait(tasks, timeout=plan.seconds)
    counts["unanswered"] += len(pending)
    for task in pending:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return counts


async def _hammer(plan: Plan, source: str, number: int, counts: Counter[str]) -> None:
    requests = [text.encode("latin-1") for text in plan.requests]
    while True:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                reader, writer = await asyncio.open_connection(
                    HOST, plan.port, local_addr=(source, 0), limit=_CHUNK
                )
        except (OSError, TimeoutError):
            counts["refused"] += 1
            await asyncio.sleep(0.1)
            continue
        try:
            while True:
                writer.write(requests[number % len(requests)])
                status, size = await _read_answer(reader)
                counts[status] += 1
                counts["bytes"] += size
                counts["largest"] = max(counts["largest"], size)
                number += 1
                await asyncio.sleep(plan.pause)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            counts["cut"] += 1
            await asyncio.sleep(plan.pause)
        finally:
            writer.transport.abort()


async def _read_answer(reader: asyncio.StreamReader) -> tuple[str, int]:
    """Read one answer to its end; return its status and the size of its body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    status = head.split(" ", 2)[1]
    fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
    if "chunked" not in fields.get("transfer-encoding", ""):
        return status, await _skip(reader, int(fields.get("content-length", 0)))
    total = 0
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        total += await _skip(reader, size)
        await reader.readuntil(b"\r\n")
    await reader.readuntil(b"\r\n")
    return status, total


async def _skip(reader: asyncio.StreamReader, size: int) -> int:
    left = size
    while left:
        data = await reader.read(min(left, _CHUNK))
        if not data:
            raise asyncio.IncompleteReadError(b"", left)
        left -= len(data)
    return size


if __name__ == "__main__":
    sys.exit(main())
