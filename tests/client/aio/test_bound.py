"""Bound objects of an async view: callbacks on the loop."""

import asyncio
from dataclasses import dataclass

import pytest

from configsvc_client import AsyncConfigView
from configsvc_client.testing import FakeAsyncConfigClient
from tests.client.aio.waiting import run


@dataclass(frozen=True)
class Database:
    pool_size: int


@pytest.fixture
def client() -> FakeAsyncConfigClient:
    return FakeAsyncConfigClient({"billing": {"database": {"pool_size": 10}}})


@pytest.fixture
def app(client: FakeAsyncConfigClient) -> AsyncConfigView:
    return client.application("billing")


async def turns() -> None:
    """Let the loop come to everything that is due."""
    for _ in range(10):
        await asyncio.sleep(0)


def publish(client: FakeAsyncConfigClient, size: object) -> None:
    client.set("billing", "database", {"pool_size": size})


def test_an_async_callback_gets_accepted_objects_in_order(
    client: FakeAsyncConfigClient, app: AsyncConfigView
) -> None:
    async def main() -> None:
        told: list[tuple[int, int]] = []

        async def note(old: Database, new: Database) -> None:
            await asyncio.sleep(0)
            told.append((old.pool_size, new.pool_size))

        await app.ready()
        app.bind("database", Database).on_change(note)
        for size in (20, "many", 30):
            publish(client, size)
            await turns()
        assert told == [(10, 20), (20, 30)]

    run(main())


def test_a_callback_that_takes_long_gets_the_newest_object_next(
    client: FakeAsyncConfigClient, app: AsyncConfigView
) -> None:
    async def main() -> None:
        told: list[tuple[int, int]] = []
        go_on = asyncio.Event()

        async def note(old: Database, new: Database) -> None:
            told.append((old.pool_size, new.pool_size))
            await go_on.wait()

        await app.ready()
        app.bind("database", Database).on_change(note)
        for size in (20, 30, 40):
            publish(client, size)
            await turns()
        go_on.set()
        await turns()
        assert told == [(10, 20), (20, 40)]

    run(main())


def test_a_plain_callback_can_be_called_now_and_cancelled(
    client: FakeAsyncConfigClient, app: AsyncConfigView
) -> None:
    async def main() -> None:
        told: list[tuple[int, int]] = []
        await app.ready()
        bound = app.bind("database", Database)
        subscription = bound.on_change(
            lambda old, new: told.append((old.pool_size, new.pool_size)), call_now=True
        )
        await turns()
        assert told == [(10, 10)]
        publish(client, 20)
        subscription.cancel()
        await turns()
        publish(client, 30)
        await turns()
        assert told == [(10, 10)]
        assert bound.value.pool_size == 30

    run(main())


def test_a_callback_needs_a_loop(app: AsyncConfigView) -> None:
    run(app.ready())
    with pytest.raises(RuntimeError, match="running event loop"):
        app.bind("database", Database).on_change(print)
