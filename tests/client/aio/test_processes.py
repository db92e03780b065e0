"""Processes of their own: forks, and the end of a loop and of the interpreter."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.client.stub import StubServer, hang

_HEAD = """
import asyncio, os, sys, time
from configsvc_client import AsyncConfigClient

client = AsyncConfigClient(sys.argv[1], timeout=60, total_timeout=90)
app = client.application("billing")

async def until(size):
    async with asyncio.timeout(30):
        while app["database"]["pool_size"] != size:
            await asyncio.sleep(0.005)
"""

_FORK = """
told = []

async def parent_begins():
    await app.ready()
    await asyncio.gather(client.applications.get("x"), return_exceptions=True)
    app.on_change(lambda change: told.append(change.new), "database.pool_size")

loop = asyncio.new_event_loop()
loop.run_until_complete(parent_begins())
child = os.fork()

async def follow(name):
    await app.ready()
    changes = app.changes("database.pool_size")
    print(name, "follows", flush=True)
    change = await anext(changes)
    assert (change.old, change.new) == (10, 20), change
    assert app["database"]["pool_size"] == 20
    await asyncio.gather(client.applications.get("x"), return_exceptions=True)
    await client.aclose()

if child == 0:
    asyncio.run(follow("child"))
    # The callback is the parent's, and called there.
    assert told == [], told
    os._exit(0)
loop.run_until_complete(follow("parent"))
assert told == [20], told
loop.close()
_, status = os.waitpid(child, 0)
assert status == 0, status
print("done", flush=True)
"""

_HANGING = """
async def main():
    await app.ready()
    calls = [asyncio.create_task(client.applications.get(str(n))) for n in range(3)]
    async def follow():
        async for _ in client.changes.follow(from_start=True):
            pass
    calls.append(asyncio.create_task(follow()))
    print("waiting", flush=True)
    sys.stdin.readline()

asyncio.run(main())
print("the loop is over", flush=True)
"""

_NO_FORK_HOOKS = """
import ctypes
asyncio.run(app.ready())
# Such a fork is safe only while no other thread wants the interpreter's lock; here, while the
# other waits for its long poll.
while app.status().polls < 2:
    time.sleep(0.005)
time.sleep(0.3)
child = ctypes.PyDLL(None).fork()
if child == 0:
    asyncio.run(until(20))
    os._exit(0)
print("forked", flush=True)
asyncio.run(until(20))
_, status = os.waitpid(child, 0)
assert status == 0, status
print("done", flush=True)
"""


@contextmanager
def start(text: str, url: str) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", _HEAD + text, url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            # Else a test that has failed would wait for it without end.
            process.kill()


def says(process: "subprocess.Popen[str]", *lines: str) -> None:
    assert process.stdout is not None
    assert {process.stdout.readline().strip() for _ in lines} == set(lines)


def test_a_forked_child_follows_by_itself(stub: StubServer) -> None:
    with start(_FORK, stub.url) as process:
        says(process, "child follows", "parent follows")
        stub.publish(database={"pool_size": 20})
        says(process, "done")
        assert process.wait(30) == 0


def test_a_fork_without_hooks_is_noticed(stub: StubServer) -> None:
    with start(_NO_FORK_HOOKS, stub.url) as process:
        says(process, "forked")
        stub.publish(database={"pool_size": 20})
        says(process, "done")
        assert process.wait(30) == 0


@pytest.mark.timeout(50)
def test_requests_that_hang_delay_neither_the_loop_nor_the_interpreter(stub: StubServer) -> None:
    with start(_HANGING, stub.url) as process:
        says(process, "waiting")
        stub.answer(hang)
        before = stub.polls
        while stub.polls < before:
            pass
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        says(process, "the loop is over")
        # The requests would go on for a minute.
        assert process.wait(15) == 0
