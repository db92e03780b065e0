"""Changes of a view, by ``async for``."""

import asyncio
import gc

import pytest

from configsvc_client import AsyncConfigClient, AsyncConfigView, Change, TransportError
from configsvc_client.testing import FakeAsyncConfigClient
from tests.client.aio.waiting import run, until
from tests.client.stub import StubServer, hang


@pytest.fixture
def client() -> FakeAsyncConfigClient:
    return FakeAsyncConfigClient({"billing": {"database": {"pool_size": 10}, "limits": {"n": 1}}})


@pytest.fixture
def app(client: FakeAsyncConfigClient) -> AsyncConfigView:
    return client.application("billing")


def listeners(app: AsyncConfigView) -> int:
    return len(app._runtime.listeners._listeners)


def test_changes_come_as_they_happen(stub: StubServer) -> None:
    async def main() -> None:
        async with AsyncConfigClient(stub.url) as client:
            app = client.application("billing")
            await app.ready()
            told: list[tuple[int, int]] = []
            changes = app.changes("database.pool_size")
            stub.publish(database={"pool_size": 20})
            async for change in changes:
                told.append((change.old, change.new))
                assert app["database"]["pool_size"] == change.new
                if change.new == 50:
                    break
                stub.publish(database={"pool_size": change.new + 10})
            assert told == [(10, 20), (20, 30), (30, 40), (40, 50)]

    run(main())


def test_the_first_snapshot_is_no_change(stub: StubServer) -> None:
    async def main() -> None:
        async with AsyncConfigClient(stub.url) as client:
            app = client.application("billing")
            changes = app.changes()
            await app.ready()
            stub.publish(database={"pool_size": 20})
            change = await anext(changes)
            assert (change.old["database"], change.new["database"]) == (
                {"pool_size": 10},
                {"pool_size": 20},
            )

    run(main())


def test_another_path_is_no_change(client: FakeAsyncConfigClient, app: AsyncConfigView) -> None:
    async def main() -> None:
        await app.ready()
        changes = app.changes("database.pool_size")
        client.set("billing", "limits", {"n": 2})
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(changes), 0.05)
        client.set("billing", "database", {"pool_size": 20})
        assert (await anext(changes)).new == 20

    run(main())


def test_who_takes_long_gets_one_change_from_the_last_to_the_newest(
    client: FakeAsyncConfigClient, app: AsyncConfigView
) -> None:
    async def main() -> None:
        await app.ready()
        changes = app.changes()
        for size in range(20, 30):
            client.set("billing", "database", {"pool_size": size})
        client.set("billing", "limits", {"n": 2})
        change = await anext(changes)
        assert change.configurations == ("database", "limits")
        assert change.old["database"]["pool_size"] == 10
        assert change.new["database"]["pool_size"] == 29

    run(main())


def test_what_is_as_before_is_no_change(
    client: FakeAsyncConfigClient, app: AsyncConfigView
) -> None:
    async def main() -> None:
        await app.ready()
        changes = app.changes("database")
        for size in (20, 10):
            client.set("billing", "database", {"pool_size": size})
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(changes), 0.05)

    run(main())


def test_a_wait_that_is_cancelled_loses_no_change(
    client: FakeAsyncConfigClient, app: AsyncConfigView
) -> None:
    async def main() -> None:
        await app.ready()
        changes = app.changes("database.pool_size")
        waiting = asyncio.ensure_future(anext(changes))
        await asyncio.sleep(0)
        client.set("billing", "database", {"pool_size": 20})
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert (await anext(changes)).new == 20

    run(main())


def test_a_break_unsubscribes(client: FakeAsyncConfigClient, app: AsyncConfigView) -> None:
    async def main() -> None:
        await app.ready()
        client_calls = asyncio.get_running_loop().call_soon
        client_calls(client.set, "billing", "database", {"pool_size": 20})
        async for _ in app.changes():
            assert listeners(app) == 1
            break
        await until(lambda: listeners(app) == 0)

    run(main())


def test_a_cancelled_task_unsubscribes(app: AsyncConfigView) -> None:
    async def follow() -> None:
        async for _ in app.changes():
            pass

    async def main() -> None:
        await app.ready()
        task = asyncio.create_task(follow())
        await until(lambda: listeners(app) == 1)
        task.cancel()
        await asyncio.wait([task])
        del task
        gc.collect()
        await until(lambda: listeners(app) == 0)

    run(main())


def test_a_stream_dropped_without_a_loop_goes_with_the_next_change(
    client: FakeAsyncConfigClient, app: AsyncConfigView
) -> None:
    run(app.ready())
    app.changes()
    gc.collect()
    client.set("billing", "database", {"pool_size": 20})
    assert listeners(app) == 0


def test_a_block_unsubscribes(client: FakeAsyncConfigClient, app: AsyncConfigView) -> None:
    async def main() -> None:
        await app.ready()
        async with app.changes("limits") as changes:
            assert repr(changes) == "<ChangeStream of 'limits'>"
        assert listeners(app) == 0
        assert repr(changes) == "<ChangeStream of 'limits', closed>"
        assert [change async for change in changes] == []

    run(main())


@pytest.mark.parametrize("what", ["stream", "view", "client"])
def test_closing_ends_a_stream_that_waits(stub: StubServer, what: str) -> None:
    async def main() -> None:
        async with AsyncConfigClient(stub.url) as client:
            app = client.application("billing")
            await app.ready()
            stub.answer(hang)
            changes = app.changes()

            async def collect() -> list[Change]:
                return [change async for change in changes]

            task = asyncio.create_task(collect())
            await asyncio.sleep(0)
            close = {"stream": changes.aclose, "view": app.aclose, "client": client.aclose}
            await close[what]()
            async with asyncio.timeout(5):
                assert await task == []

    run(main())


def test_a_stream_holds_what_it_needs(stub: StubServer) -> None:
    async def main() -> None:
        client = AsyncConfigClient(stub.url)
        app = client.application("billing")
        await app.ready()
        changes = app.changes("database.pool_size")
        del client, app
        gc.collect()
        stub.publish(database={"pool_size": 20})
        assert (await anext(changes)).new == 20

    run(main())


def test_changes_go_on_after_an_outage(stub: StubServer) -> None:
    async def main() -> None:
        async with AsyncConfigClient(stub.url) as client:
            app = client.application("billing")
            await app.ready()
            changes = app.changes("database.pool_size")
            stub.stop()
            await until(lambda: app.status().stale)
            assert isinstance(app.status().last_error, TransportError)
            stub.start()
            stub.publish(database={"pool_size": 20})
            assert (await anext(changes)).new == 20

    run(main())
