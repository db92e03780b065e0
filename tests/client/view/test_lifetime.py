"""Lifetime of clients, views and threads: what is dropped leaves nothing behind."""

import gc
import threading
import weakref
from dataclasses import dataclass

from configsvc_client import ConfigClient
from tests.client.stub import StubServer, eventually


@dataclass(frozen=True)
class Database:
    pool_size: int


def pollers(name: str) -> list[threading.Thread]:
    return [
        thread for thread in threading.enumerate() if thread.name == f"configsvc {name}/default"
    ]


def test_a_dropped_client_leaves_no_thread(stub: StubServer) -> None:
    client = ConfigClient(stub.url)
    app = client.application("dropped")
    app.wait_until_ready()
    app.bind("database", Database)
    assert pollers("dropped")
    del app, client
    gc.collect()
    eventually(lambda: not pollers("dropped"))


def test_a_dropped_client_is_gone_without_a_collection(stub: StubServer) -> None:
    gc.disable()
    try:
        client = ConfigClient(stub.url)
        client.application("counted").wait_until_ready()
        gone = weakref.ref(client)
        del client
        assert gone() is None
        eventually(lambda: not pollers("counted"))
    finally:
        gc.enable()


def test_a_view_outlives_its_client(stub: StubServer) -> None:
    app = ConfigClient(stub.url).application("view")
    app.wait_until_ready()
    gc.collect()
    stub.publish(database={"pool_size": 20})
    eventually(lambda: app["database"]["pool_size"] == 20)
    app.close()


def test_a_bound_object_outlives_its_client(stub: StubServer) -> None:
    held = [ConfigClient(stub.url).application("bound").bind("database", Database)]
    gc.collect()
    stub.publish(database={"pool_size": 20})
    eventually(lambda: held[0].value.pool_size == 20)
    held.clear()
    gc.collect()
    eventually(lambda: not pollers("bound"))


def test_a_callback_outlives_its_client_until_it_is_cancelled(stub: StubServer) -> None:
    told: list[int] = []
    app = ConfigClient(stub.url).application("callback")
    app.wait_until_ready()
    subscription = app.on_change(lambda change: told.append(change.new), "database.pool_size")
    del app
    gc.collect()
    stub.publish(database={"pool_size": 20})
    eventually(lambda: told == [20])
    subscription.cancel()
    gc.collect()
    eventually(lambda: not pollers("callback"))
