"""Callbacks on the loop: plain and async ones."""

import asyncio
import logging
import threading
from dataclasses import dataclass
from typing import Any

import pytest

from configsvc_client import (
    AsyncConfigClient,
    AsyncConfigView,
    Change,
    NotReadyError,
    Status,
    TransportError,
)
from configsvc_client.testing import FakeAsyncConfigClient
from tests.client.aio.waiting import run, until
from tests.client.stub import StubServer


@dataclass(frozen=True)
class Database:
    pool_size: int


@pytest.fixture
def client() -> FakeAsyncConfigClient:
    return FakeAsyncConfigClient({"billing": {"database": {"pool_size": 10}, "limits": {"n": 1}}})


@pytest.fixture
def app(client: FakeAsyncConfigClient) -> AsyncConfigView:
    return client.application("billing")


async def turns() -> None:
    """Let the loop come to everything that is due."""
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.parametrize("is_async", [False, True])
def test_a_callback_is_called_in_the_thread_of_the_loop(stub: StubServer, is_async: bool) -> None:
    async def main() -> None:
        told: list[tuple[Any, threading.Thread]] = []

        def note(change: Change) -> None:
            asyncio.get_running_loop()
            told.append((change.new, threading.current_thread()))

        async def note_later(change: Change) -> None:
            await asyncio.sleep(0)
            note(change)

        async with AsyncConfigClient(stub.url) as client:
            app = client.application("billing")
            await app.ready()
            app.on_change(note_later if is_async else note, "database.pool_size")
            for size in (20, 30):
                stub.publish(database={"pool_size": size})
                await until(lambda size=size: told and told[-1][0] == size)  # type: ignore[misc]
            assert told == [(size, threading.current_thread()) for size in (20, 30)]

    run(main())


def test_an_async_callback_is_awaited_before_it_is_called_again(
    client: FakeAsyncConfigClient, app: AsyncConfigView
) -> None:
    async def main() -> None:
        begun: list[tuple[int, int]] = []
        go_on = asyncio.Event()

        async def work(change: Change) -> None:
            begun.append((change.old, change.new))
            await go_on.wait()

        await app.ready()
        app.on_change(work, "database.pool_size")
        for size in (20, 30, 40):
            client.set("billing", "database", {"pool_size": size})
            await turns()
        assert begun == [(10, 20)]
        go_on.set()
        await turns()
        assert begun == [(10, 20), (20, 40)]

    run(main())


@pytest.mark.parametrize("error", [ValueError, asyncio.CancelledError])
@pytest.mark.parametrize("is_async", [False, True])
def test_what_a_callback_raises_is_logged_once_and_changes_nothing(
    client: FakeAsyncConfigClient,
    app: AsyncConfigView,
    caplog: pytest.LogCaptureFixture,
    error: type[BaseException],
    is_async: bool,
) -> None:
    async def main() -> None:
        told: list[int] = []

        def fail(change: Change) -> None:
            told.append(change.new)
            raise error

        async def fail_later(change: Change) -> None:
            await asyncio.sleep(0)
            fail(change)

        await app.ready()
        app.on_change(fail_later if is_async else fail, "database.pool_size")
        for size in (20, 30):
            client.set("billing", "database", {"pool_size": size})
            await turns()
        assert told == [20, 30]

    with caplog.at_level(logging.INFO):
        run(main())
    (record,) = caplog.records
    assert record.message == (
        "<AsyncSubscription to 'database.pool_size'> failed; it is called again at the next change"
    )


def test_a_callback_can_be_called_now(client: FakeAsyncConfigClient, app: AsyncConfigView) -> None:
    async def main() -> None:
        told: list[tuple[Any, Any]] = []
        await app.ready()
        app.on_change(lambda c: told.append((c.old, c.new)), "limits.n", call_now=True)
        app.on_change(lambda c: told.append((c.old, c.new)), "nothing", call_now=True)
        assert told == []
        await turns()
        assert told == [(None, 1)]
        client.set("billing", "limits", {"n": 2})
        await turns()
        assert told == [(None, 1), (1, 2)]

    run(main())


def test_nothing_can_be_called_now_before_the_first_snapshot(app: AsyncConfigView) -> None:
    async def main() -> None:
        with pytest.raises(NotReadyError):
            app.on_change(print, call_now=True)

    run(main())


def test_a_cancelled_callback_is_not_called(
    client: FakeAsyncConfigClient, app: AsyncConfigView
) -> None:
    async def main() -> None:
        told: list[Change] = []
        await app.ready()
        subscription = app.on_change(told.append)
        client.set("billing", "limits", {"n": 2})
        subscription.cancel()
        subscription.cancel()
        await turns()
        assert told == []

    run(main())


def test_a_callback_needs_a_loop(app: AsyncConfigView) -> None:
    with pytest.raises(RuntimeError, match=r"on_change needs a running event loop"):
        app.on_change(print)


def test_a_task_that_is_cancelled_does_not_end_the_subscription(
    client: FakeAsyncConfigClient, app: AsyncConfigView
) -> None:
    async def main() -> None:
        told: list[int] = []

        async def work(change: Change) -> None:
            told.append(change.new)
            await asyncio.sleep(50)

        await app.ready()
        app.on_change(work, "limits.n")
        for n in (2, 3):
            client.set("billing", "limits", {"n": n})
            await turns()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            await turns()
        assert told == [2, 3]

    # Without a limit of time, which would be a task too.
    asyncio.run(main())


def test_a_callback_sees_the_new_values_everywhere(stub: StubServer) -> None:
    async def main() -> None:
        async with AsyncConfigClient(stub.url) as client:
            app = client.application("billing")
            await app.ready()
            bound = app.bind("database", Database)
            seen: list[tuple[int, int]] = []
            app.on_change(
                lambda _: seen.append((app["database"]["pool_size"], bound.value.pool_size))
            )
            for size in (20, 30):
                stub.publish(database={"pool_size": size})
                await until(lambda size=size: seen and seen[-1] == (size, size))  # type: ignore[misc]

    run(main())


@pytest.mark.parametrize("is_async", [False, True])
def test_the_status_is_told_on_the_loop(
    client: FakeAsyncConfigClient, app: AsyncConfigView, is_async: bool
) -> None:
    async def main() -> None:
        told: list[str] = []

        async def note(status: Status) -> None:
            told.append(status.state)

        subscription = client.on_status(note if is_async else lambda s: told.append(s.state))
        await app.ready()
        await turns()
        client.fail(TransportError("away"))
        await turns()
        client.fail(None)
        await turns()
        subscription.cancel()
        client.fail(TransportError("away"))
        await turns()
        assert told == ["live", "stale", "live"]

    run(main())
