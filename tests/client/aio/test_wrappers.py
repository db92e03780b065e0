"""Wrappers that are awaited, and lists and feeds for ``async for``."""

import asyncio
import inspect
import json
import threading
from contextvars import ContextVar
from typing import Any

import pytest

import configsvc_client
from configsvc_client import (
    AsyncConfigClient,
    ClosedError,
    ConfigSvcError,
    NotFoundError,
    TransportError,
)
from tests.client.aio.conftest import threads
from tests.client.aio.waiting import run, until
from tests.client.stub import Handler, StubServer, hang, status


@pytest.mark.parametrize(
    "kind", ["Applications", "Changes", "Configurations", "Environments", "Releases"]
)
def test_nothing_is_missing_and_everything_takes_the_same(kind: str) -> None:
    plain, other = (getattr(configsvc_client, f"{prefix}{kind}") for prefix in ("", "Async"))
    for name in (name for name in dir(plain) if not name.startswith("_")):
        call, model = getattr(other, name), getattr(plain, name)
        assert inspect.signature(call) == inspect.signature(model)
        assert (
            call.__doc__.partition("Example:")[0]
            == (inspect.cleandoc(model.__doc__).partition("Example:")[0])
        )


def test_a_constructor_takes_the_same() -> None:
    taken, model = (
        inspect.signature(kind) for kind in (AsyncConfigClient, configsvc_client.ConfigClient)
    )
    assert taken == model


def change(number: int) -> dict[str, Any]:
    return {
        "id": number,
        "entity": "application",
        "action": "create",
        "application_id": "a",
        "configuration_id": None,
        "name": "billing",
        "previous_name": None,
        "version": None,
        "previous_version": None,
        "source_version": None,
        "environments": [],
        "actor": "ada",
        "request_id": "r",
        "message": None,
        "created_at": "2026-11-24T08:00:00.000000Z",
    }


class Log:
    """Audit trail of a stub, which waits for more as the server does."""

    def __init__(self, stub: StubServer) -> None:
        self.stub = stub
        self.changes: list[dict[str, Any]] = []
        stub.answer(self.serve)

    def add(self, *numbers: int) -> None:
        with self.stub.changed:
            self.changes += [change(number) for number in numbers]
            self.stub.changed.notify_all()

    def serve(self, handler: Handler) -> None:
        _, _, query = handler.path.partition("?")
        after = dict(part.split("=") for part in query.split("&") if "=" in part).get("after", "0")
        with self.stub.changed:
            if "Prefer" in handler.headers:
                self.stub.changed.wait_for(
                    lambda: len(self.changes) > int(after) or self.stub.stopping.is_set(), 30
                )
            items = self.changes[int(after) :]
        page = {"items": items, "next": str(int(after) + len(items)), "has_more": False}
        handler.reply(200, json.dumps(page).encode(), {"Preference-Applied": "wait=30"})


class TestFeed:
    def test_changes_come_as_they_happen(self, stub: StubServer) -> None:
        log = Log(stub)

        async def main() -> None:
            async with AsyncConfigClient(stub.url) as client:
                seen: list[int] = []
                async for each in client.changes.follow(from_start=True):
                    seen.append(each.id)
                    if each.id == 4:
                        break
                    if each.id in {1, 2}:
                        log.add(len(log.changes) + 1)
                assert seen == [1, 2, 3, 4]

        log.add(1, 2)
        run(main())

    def test_a_wait_that_is_cancelled_loses_no_change(self, stub: StubServer) -> None:
        log = Log(stub)

        async def main() -> None:
            async with (
                AsyncConfigClient(stub.url) as client,
                client.changes.follow(from_start=True) as feed,
            ):
                for number in (1, 2):
                    with pytest.raises(TimeoutError):
                        await asyncio.wait_for(anext(feed), 0.05)
                    log.add(number)
                    assert (await anext(feed)).id == number
                    assert feed.cursor == str(number)

        run(main())

    @pytest.mark.parametrize("what", ["feed", "client"])
    def test_closing_ends_a_wait(self, stub: StubServer, what: str) -> None:
        Log(stub)

        async def main() -> None:
            client = AsyncConfigClient(stub.url)
            feed = client.changes.follow(from_start=True)

            async def collect() -> list[object]:
                return [each async for each in feed]

            task = asyncio.create_task(collect())
            await until(lambda: any("Prefer" in headers for _, _, headers in stub.requests))
            async with asyncio.timeout(5):
                await (feed if what == "feed" else client).aclose()
                assert await task == []
            await client.aclose()

        run(main())

    def test_a_cancelled_task_ends_at_once_and_leaves_no_thread(self, stub: StubServer) -> None:
        """A fixture of all these tests looks for threads."""
        Log(stub)

        async def follow(client: AsyncConfigClient) -> None:
            async for _ in client.changes.follow(from_start=True):
                pass

        async def main() -> None:
            async with AsyncConfigClient(stub.url) as client:
                task = asyncio.create_task(follow(client))
                await until(lambda: any("Prefer" in headers for _, _, headers in stub.requests))
                task.cancel()
                async with asyncio.timeout(5):
                    await asyncio.wait([task])
                assert task.cancelled()
                del task

        run(main())

    def test_what_the_server_refuses_is_raised(self, stub: StubServer) -> None:
        stub.answer(status(404))

        async def main() -> None:
            async with AsyncConfigClient(stub.url) as client:
                with pytest.raises(NotFoundError):
                    await anext(client.changes.follow())

        run(main())

    def test_an_outage_is_waited_out(self, stub: StubServer) -> None:
        log = Log(stub)

        async def main() -> None:
            async with (
                AsyncConfigClient(stub.url) as client,
                client.changes.follow(from_start=True) as feed,
            ):
                task = asyncio.ensure_future(anext(feed))
                await until(lambda: any("Prefer" in headers for _, _, headers in stub.requests))
                stub.stop()
                await until(lambda: isinstance(feed.error, TransportError))
                log.add(1)
                stub.start()
                assert (await task).id == 1

        run(main())


def applications(*names: str, after: str | None) -> bytes:
    items: list[dict[str, Any]] = [
        {
            "id": name,
            "name": name,
            "comments": None,
            "created_at": "2026-11-24T08:00:00Z",
            "updated_at": "2026-11-24T08:00:00Z",
            "configuration_ids": [],
        }
        for name in names
    ]
    return json.dumps({"items": items, "total": 3, "next": after}).encode()


def test_a_list_is_fetched_page_by_page(stub: StubServer) -> None:
    path = "/api/v1/applications?limit=2"
    stub.bodies[path] = applications("a", "b", after="x")
    stub.bodies[f"{path}&after=x"] = applications("c", after=None)

    async def main() -> None:
        async with AsyncConfigClient(stub.url) as client:
            pages = client.applications.list(page_size=2)
            assert stub.polls == 0
            assert (await anext(pages)).name == "a"
            assert (await anext(pages)).name == "b"
            assert stub.polls == 1
            assert [application.name async for application in pages] == ["a", "b", "c"]
            assert [application.name async for application in pages] == ["a", "b", "c"]

    run(main())


def test_many_calls_share_a_few_threads(stub: StubServer) -> None:
    stub.bodies["/api/v1/applications/a"] = json.dumps(
        json.loads(applications("a", after=None))["items"][0]
    ).encode()

    async def main() -> None:
        async with AsyncConfigClient(stub.url) as client:
            before = threads()
            found = await asyncio.gather(*(client.applications.get("a") for _ in range(50)))
            assert {application.name for application in found} == {"a"}
            assert len(threads() - before) <= 8
            assert stub.connections <= 8

    run(main())


def test_a_call_that_was_cancelled_while_it_waited_is_not_made(stub: StubServer) -> None:
    stub.answer(hang)

    async def main() -> None:
        async with AsyncConfigClient(stub.url, timeout=50) as client:
            calls = [asyncio.create_task(client.applications.delete(str(n))) for n in range(9)]
            await until(lambda: stub.polls == 8)
            calls[8].cancel()
            await asyncio.wait([calls[8]])
            await client.aclose()
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            assert all(isinstance(o, ConfigSvcError) for o in outcomes[:8])
            assert isinstance(outcomes[8], asyncio.CancelledError)
        assert stub.polls == 8

    run(main())


def test_a_token_function_sees_the_context_of_the_call(stub: StubServer) -> None:
    tenant: ContextVar[str] = ContextVar("tenant")
    stub.answer(status(404))

    async def main() -> None:
        tenant.set("ada")
        async with AsyncConfigClient(stub.url, token=tenant.get) as client:
            with pytest.raises(NotFoundError):
                await client.applications.get("a")
        assert stub.requests[-1][2]["Authorization"] == "Bearer ada"

    run(main())


def test_an_error_of_the_server_is_raised_where_it_is_awaited(stub: StubServer) -> None:
    stub.answer(status(404))

    async def main() -> None:
        async with AsyncConfigClient(stub.url) as client:
            with pytest.raises(NotFoundError, match="404"):
                await client.configurations.update("billing", "database", config={})
            await client.aclose()
            with pytest.raises(ClosedError):
                await client.applications.get("a")

    run(main())


def test_calls_are_made_in_other_threads(stub: StubServer) -> None:
    seen: list[threading.Thread] = []

    def token() -> str:
        seen.append(threading.current_thread())
        return "t"

    stub.answer(status(404))

    async def main() -> None:
        async with AsyncConfigClient(stub.url, token=token) as client:
            with pytest.raises(NotFoundError):
                await client.applications.get("a")
            with pytest.raises(NotFoundError):
                await anext(client.applications.list())

    run(main())
    assert threading.current_thread() not in seen
    assert len(seen) == 2
