"""Async views: how they start, what they read, and how they end."""

import asyncio
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from configsvc_client import (
    AsyncConfigClient,
    AuthError,
    ClosedError,
    ConfigClient,
    NotFoundError,
    NotReadyError,
    TransportError,
)
from configsvc_client._view.runtime import ViewRuntime
from tests.client.aio.conftest import threads
from tests.client.aio.waiting import run, until
from tests.client.stub import StubServer, eventually, hang, serve, status


@dataclass(frozen=True)
class Database:
    pool_size: int


def test_creating_a_client_connects_to_nothing_and_starts_nothing(stub: StubServer) -> None:
    before = threads()
    client = AsyncConfigClient(stub.url)
    assert repr(client.application("billing")) == (
        "<AsyncConfigView billing/default: not started; await ready() starts it>"
    )
    assert repr(client) == f"<AsyncConfigClient {stub.url}, 1 view>"
    assert (threads(), stub.connections) == (before, 0)


def test_a_ready_view_is_a_mapping_read_from_memory(stub: StubServer) -> None:
    async def main() -> None:
        async with AsyncConfigClient(stub.url) as client:
            app = client.application("billing")
            await app.ready()
            assert isinstance(app, Mapping)
            assert app["database"]["pool_size"] == 10
            assert (list(app), len(app), "database" in app) == (["database"], 1, True)
            assert app.get("database.pool_size") == 10
            assert app.snapshot()["database"] == {"pool_size": 10}
            assert app.bind("database", Database).value == Database(10)
            assert client.application("billing") is app
            with pytest.raises(KeyError):
                app["nothing"]

    run(main())


def test_a_view_follows_changes(stub: StubServer) -> None:
    async def main() -> None:
        async with AsyncConfigClient(stub.url) as client:
            app = client.application("billing")
            await app.ready()
            database = app.bind("database", Database)
            stub.publish(database={"pool_size": 20})
            await until(lambda: app["database"]["pool_size"] == 20)
            await until(lambda: database.value.pool_size == 20)

    run(main())


def test_a_client_can_be_closed_without_a_block(stub: StubServer) -> None:
    async def main() -> None:
        client = AsyncConfigClient(stub.url)
        app = client.application("billing")
        await app.ready()
        await client.aclose()
        await client.aclose()
        assert app.status().state == "closed"
        assert app["database"] == {"pool_size": 10}
        with pytest.raises(ClosedError):
            client.application("billing")
        with pytest.raises(ClosedError):
            await client.applications.get("billing")

    run(main())


class TestBeforeTheFirstSnapshot:
    def test_a_read_fails_at_once_and_starts_nothing(self, stub: StubServer) -> None:
        client = AsyncConfigClient(stub.url)
        app = client.application("billing")
        for read in (lambda: app["x"], lambda: app.get("x"), lambda: len(app), app.snapshot):
            with pytest.raises(NotReadyError, match=r"'billing' \(default\).*await ready\(\)"):
                read()
        with pytest.raises(NotReadyError):
            app.bind("database", Database)
        assert stub.connections == 0

    def test_a_read_of_a_view_that_starts_says_why_there_is_none(self, stub: StubServer) -> None:
        stub.answer(status(500))

        async def main() -> None:
            async with AsyncConfigClient(stub.url) as client:
                app = client.application("billing")
                app.changes()
                await until(lambda: app.status().failures)
                with pytest.raises(NotReadyError, match="500"):
                    app["database"]

        run(main())

    def test_many_wait_for_one_request(self, stub: StubServer) -> None:
        async def main() -> None:
            async with AsyncConfigClient(stub.url) as client:
                app = client.application("billing")
                before = threads()
                await asyncio.gather(*(app.ready() for _ in range(1000)))
                assert len(threads() - before) == 1
                assert stub.polls <= 2

        run(main())

    def test_a_cancelled_wait_leaves_the_others_alone(self, stub: StubServer) -> None:
        stub.answer(hang)

        async def main() -> None:
            async with AsyncConfigClient(stub.url) as client:
                app = client.application("billing")
                impatient, patient = (asyncio.create_task(app.ready(60)) for _ in range(2))
                await until(lambda: stub.polls)
                impatient.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await impatient
                stub.answer(serve)
                # The request that hangs is cut.
                stub.stop()
                stub.start()
                await patient
                assert app["database"] == {"pool_size": 10}

        run(main())

    def test_a_wait_ends_in_time_with_the_cause(self, stub: StubServer) -> None:
        stub.answer(status(503))

        async def main() -> None:
            async with AsyncConfigClient(stub.url, start_timeout=0.3) as client:
                app = client.application("billing")
                with pytest.raises(NotReadyError, match="503"):
                    await app.ready()
                stub.answer(serve)
                await app.ready(60)
                assert app["database"] == {"pool_size": 10}

        run(main())

    @pytest.mark.parametrize(("code", "kind"), [(404, NotFoundError), (401, AuthError)])
    def test_a_refusal_ends_the_wait(
        self, stub: StubServer, code: int, kind: type[Exception]
    ) -> None:
        stub.answer(status(code))

        async def main() -> None:
            async with AsyncConfigClient(stub.url) as client:
                app = client.application("billing")
                with pytest.raises(kind):
                    await app.ready(timeout=50)
                with pytest.raises(kind):
                    app["database"]

        run(main())

    def test_closing_ends_the_wait(self, stub: StubServer) -> None:
        stub.answer(hang)

        async def main() -> None:
            async with AsyncConfigClient(stub.url) as client:
                app = client.application("billing")
                waiting = asyncio.create_task(app.ready(timeout=50))
                await until(lambda: stub.polls)
                await app.aclose()
                with pytest.raises(ClosedError):
                    await waiting
                with pytest.raises(ClosedError):
                    app["database"]

        run(main())

    def test_the_copy_on_disk_serves_while_the_server_hangs(
        self, stub: StubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ViewRuntime, "DISK_GRACE", 0.05)
        with ConfigClient(stub.url, cache_dir=tmp_path) as client:
            client.application("billing").wait_until_ready()
        stub.answer(hang)

        async def main() -> None:
            async with AsyncConfigClient(stub.url, cache_dir=tmp_path) as client:
                app = client.application("billing")
                await app.ready(timeout=50)
                assert (app["database"], app.status().source) == ({"pool_size": 10}, "disk")

        run(main())


class TestLoops:
    def test_follow_one_another(self, stub: StubServer) -> None:
        client = AsyncConfigClient(stub.url)
        app = client.application("billing")

        async def next_size(size: int) -> int:
            await app.ready()
            changes = app.changes("database.pool_size")
            stub.publish(database={"pool_size": size})
            return int((await anext(changes)).new)

        assert [run(next_size(size)) for size in (20, 30, 40)] == [20, 30, 40]
        run(client.aclose())

    def test_share_a_view_in_several_threads(self, stub: StubServer) -> None:
        client = AsyncConfigClient(stub.url)
        app = client.application("billing")
        told: list[int] = []
        ready = threading.Barrier(4)

        async def follow() -> None:
            await app.ready()
            async with app.changes("database.pool_size") as changes:
                await asyncio.to_thread(ready.wait, 30)
                told.append((await anext(changes)).new)

        followers = [threading.Thread(target=lambda: run(follow())) for _ in range(3)]
        for follower in followers:
            follower.start()
        ready.wait(30)
        stub.publish(database={"pool_size": 20})
        for follower in followers:
            follower.join(30)
        assert told == [20, 20, 20]
        run(client.aclose())

    def test_that_are_closed_do_not_disturb_the_poller(
        self, stub: StubServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        client = AsyncConfigClient(stub.url)
        app = client.application("billing")
        kept: list[object] = []

        async def subscribe() -> None:
            await app.ready()
            app.on_change(print)
            client.on_status(print)
            changes = app.changes()
            waiting = asyncio.ensure_future(anext(changes))
            await asyncio.sleep(0)
            kept.extend([changes, waiting])

        loop = asyncio.new_event_loop()
        loop.run_until_complete(subscribe())
        # As it is where a program ends its loop without care: what waits is not cancelled.
        loop.set_exception_handler(lambda *_: None)
        loop.close()
        for size in (20, 30):
            stub.publish(database={"pool_size": size})
            eventually(lambda size=size: app["database"]["pool_size"] == size)  # type: ignore[misc]
        assert len(app._runtime.listeners._listeners) == 1
        assert not caplog.records
        kept[1]._log_destroy_pending = False  # type: ignore[attr-defined]
        run(client.aclose())


def test_a_request_that_hangs_blocks_no_loop_and_no_closing(stub: StubServer) -> None:
    async def main() -> None:
        client = AsyncConfigClient(stub.url, timeout=50, total_timeout=55)
        app = client.application("billing")
        await app.ready()
        stub.answer(hang)
        asked = stub.polls
        hanging = [asyncio.create_task(app.refresh()) for _ in range(3)]
        await until(lambda: stub.polls >= asked + 3)
        assert app["database"] == {"pool_size": 10}
        async with asyncio.timeout(5):
            await client.aclose()
            outcomes = await asyncio.gather(*hanging, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} <= {ClosedError, TransportError}

    run(main())


def test_a_view_can_be_closed_and_opened_again(stub: StubServer) -> None:
    async def main() -> None:
        async with AsyncConfigClient(stub.url) as client:
            async with client.application("billing") as first:
                await first.ready()
            second = client.application("billing")
            assert second is not first
            await second.ready()
            assert (first.status().state, second.status().state) == ("closed", "live")

    run(main())


def test_a_client_that_is_dropped_leaves_no_thread(stub: StubServer) -> None:
    stub.bodies["/api/v1/applications?limit=200"] = b'{"items": [], "total": 0, "next": null}'
    before = threads()

    async def main() -> None:
        client = AsyncConfigClient(stub.url)
        await client.application("billing").ready()
        assert [application async for application in client.applications.list()] == []
        assert len(threads() - before) == 2

    run(main())
    eventually(lambda: threads() == before)
