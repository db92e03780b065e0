"""Live views of a real server: long polls, an end and a new beginning, many readers."""

import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from configsvc_client import ConfigClient, ConfigView
from tests.client.conftest import MakeClient
from tests.client.stub import eventually
from tests.support.servers import RunningServer, start_server_process

Publish = Callable[[int], None]


@dataclass(frozen=True)
class Database:
    pool_size: int


def test_a_change_arrives_without_being_asked_for(app: ConfigView, publish: Publish) -> None:
    bound = app.bind("database", Database)
    told = threading.Event()
    app.on_change(lambda _: told.set(), "database.pool_size")
    publish(20)
    assert told.wait(20)
    assert app["database"]["pool_size"] == bound.value.pool_size == 20


def test_an_idle_view_hardly_asks(app: ConfigView, client: ConfigClient) -> None:
    eventually(lambda: app.status().polls == 2)
    # Each of these would be time for many polls, if the server did not hold on to the one.
    for _ in range(20):
        client.applications.get("billing")
    assert app.status().polls == 2


def test_a_killed_server_is_found_again(
    database_url: str, make_client: MakeClient, tmp_path: Path
) -> None:
    variables = {"CONFIGSVC_DATABASE_URL": database_url}
    first = start_server_process((), cwd=tmp_path, variables=variables)
    try:
        client = make_client(first.url)
        client.applications.create(name="billing")
        database = client.configurations.create("billing", name="database", config={"n": 1})
        app = client.application("billing")
        app.wait_until_ready()
        bound = app.bind("database", dict)
    finally:
        first.process.kill()
        first.stop()
    eventually(lambda: app.status().stale)
    assert app["database"]["n"] == bound.value["n"] == 1
    assert app.status().state == "stale"

    port = first.url.rpartition(":")[2]
    second = start_server_process(("--port", port), cwd=tmp_path, variables=variables)
    try:
        client.configurations.update(database, config={"n": 2})
        eventually(lambda: bound.value["n"] == 2)
        assert app.status().state == "live"
    finally:
        # A server that stops lets go of those who wait.
        assert second.stop() == 0
    eventually(lambda: app.status().stale)


def test_a_process_starts_from_the_copy_while_the_server_is_away(
    live_server: RunningServer, app: ConfigView, make_client: MakeClient, tmp_path: Path
) -> None:
    url = live_server.url
    make_client(url, cache_dir=tmp_path).application("billing").wait_until_ready()
    eventually(lambda: list(tmp_path.glob("*.snapshot")))
    live_server.stop()
    later = make_client(url, cache_dir=tmp_path).application("billing")
    assert later["database"]["pool_size"] == 10
    assert later.status().source == "disk"


def test_fifty_readers_never_see_an_older_or_torn_snapshot(
    app: ConfigView, client: ConfigClient, publish: Publish
) -> None:
    stop = threading.Event()
    wrong: list[str] = []

    def read() -> None:
        newest = 0
        while not stop.is_set():
            snapshot = app.snapshot()
            size = snapshot["database"]["pool_size"]
            version = snapshot.provenance("database").version
            if size != version + 9:
                wrong.append(f"torn: {size} in version {version}")
            if version < newest:
                wrong.append(f"older: {version} after {newest}")
            newest = version
            stop.wait(0.001)

    usual = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    threads = [threading.Thread(target=read) for _ in range(50)]
    for thread in threads:
        thread.start()
    try:
        for size in range(11, 211):
            publish(size)
        eventually(lambda: app["database"]["pool_size"] == 210)
    finally:
        sys.setswitchinterval(usual)
        stop.set()
        for thread in threads:
            thread.join()
    assert not wrong
