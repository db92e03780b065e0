"""Simulated instances of a fleet, in a process of their own.

    python -P benchmarks/fleet_instances.py URL --instances 10000 --interval 30

Each of them polls the snapshot at ``URL`` once in the interval, with the header that the SDK sends
and the ETag of what it has; many share a connection. After a change it polls again at once, as the
SDK does. When the standard input is closed, what they have held since when is printed as JSON.
"""

import argparse
import asyncio
import json
import sys
import time
from urllib.parse import urlsplit

ETAG = b"\r\netag: "
LENGTH = b"\r\ncontent-length: "


class Instances:
    """Instances that share the connections to one server."""

    def __init__(self, url: str, count: int, interval: float) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self.host, self.port = parts.hostname, parts.port or 80
        self.interval = interval
        self.tags = [b""] * count
        self.heads = [
            (
                f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
                f'Configsvc-Instance: id="simulated-{number:06}", service="checkout", '
                f'version="1.4.2", sdk="configsvc-client/0.1.0", host="web-{number % 50}", '
                f"interval={round(interval)}\r\n"
            ).encode()
            for number in range(count)
        ]
        self.held: list[tuple[float, str]] = []
        """When an instance began to hold which snapshot."""
        self.polls = 0
        self.failures = 0
        self.late = 0.0

    async def run(self, connections: int) -> None:
        """Poll until cancelled."""
        count = len(self.heads)
        share = [range(first, count, connections) for first in range(connections)]
        begun = time.monotonic()
        await asyncio.gather(*(self._connection(part, begun) for part in share))

    async def _connection(self, numbers: range, begun: float) -> None:
        reader, writer = await asyncio.open_connection(self.host, self.port)
        due = [(begun + self.interval * number / len(self.heads), number) for number in numbers]
        try:
            while True:
                for position, (moment, number) in enumerate(due):
                    await asyncio.sleep(max(0.0, moment - time.monotonic()))
                    self.late = max(self.late, time.monotonic() - moment)
                    while await self._poll(reader, writer, number):
                        pass
                    due[position] = (moment + self.interval, number)
        finally:
            writer.close()

    async def _poll(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> bool:
        """Poll once; return whether there was something new."""
        tag = self.tags[number]
        condition = b'If-None-Match: "%b"\r\n' % tag if tag else b""
        writer.write(b"%b%b\r\n" % (self.heads[number], condition))
        head = await reader.readuntil(b"\r\n\r\n")
        status = head[9:12]
        lower = head.lower()
        if LENGTH in lower:
            await reader.readexactly(int(lower.split(LENGTH, 1)[1].split(b"\r", 1)[0]))
        self.polls += 1
        if status == b"304":
            return False
        if status != b"200":
            self.failures += 1
            return False
        self.tags[number] = lower.split(ETAG, 1)[1].split(b'"')[1]
        self.held.append((time.monotonic(), self.tags[number].decode()))
        return True


async def main() -> None:
    """Run until the standard input is closed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--instances", type=int, required=True)
    parser.add_argument("--interval", type=float, required=True)
    parser.add_argument("--connections", type=int, default=100)
    options = parser.parse_args()
    instances = Instances(options.url, options.instances, options.interval)
    running = asyncio.create_task(instances.run(options.connections))
    over = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await asyncio.wait({running, asyncio.ensure_future(over)}, return_when="FIRST_COMPLETED")
    if running.done():
        running.result()
    running.cancel()
    json.dump(
        {
            "polls": instances.polls,
            "failures": instances.failures,
            "late": instances.late,
            "held": instances.held,
        },
        sys.stdout,
    )


if __name__ == "__main__":
    asyncio.run(main())
