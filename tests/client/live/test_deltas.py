"""Deltas between a real server and a real client."""

import random
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import pytest

from configsvc_client import ConfigClient
from configsvc_client._http.transport import HttpTransport
from configsvc_client._http.types import Request, Response
from configsvc_client._values.snapshot import Snapshot
from configsvc_client._view.snapshot_source import SnapshotSource
from configsvc_client.options import Options
from tests.support.servers import RunningServer


class Recorder(HttpTransport):
    """Transport that notes the status of each response."""

    def __init__(self, options: Options) -> None:
        super().__init__(options, retries=0)
        self.statuses: list[int] = []

    def send(self, request: Request) -> Response:
        response = super().send(request)
        self.statuses.append(response.status)
        return response


@pytest.fixture
def transport(live_server: RunningServer) -> Iterator[Recorder]:
    recorder = Recorder(Options(live_server.url))
    yield recorder
    recorder.close()


def content(snapshot: Snapshot) -> Any:
    return [
        (name, config, snapshot.provenance(name), snapshot.defaults(name))
        for name, config in snapshot.items()
    ]


def test_a_client_that_follows_by_deltas_has_what_a_new_one_gets(
    client: ConfigClient, transport: Recorder
) -> None:
    """Whatever is written in between, and whatever it is called."""
    chance = random.Random(5)
    client.applications.create(name="shop")
    names = ["a", "ä", "\ue000", "\U0001f600", 'q"uote', "back\\slash", "configurations"]
    known = {
        name: client.configurations.create("shop", name=name, config={"text": "x" * 500}).id
        for name in names
    }
    source = SnapshotSource(transport, "shop", "default")
    held = source.fetch_once()
    followed = 0
    for number in range(30):
        name = chance.choice(names)
        if name not in known:
            config = {"text": "y" * 500, "number": number}
            known[name] = client.configurations.create("shop", name=name, config=config).id
        elif chance.random() < 0.3:
            client.configurations.delete(known.pop(name))
        else:
            client.configurations.update(known[name], config={name: number / 7, "n": None})
        if chance.random() < 0.5:
            continue
        fetched = source.fetch(held)
        if fetched.snapshot is None:
            continue
        followed += transport.statuses[-1] == HTTPStatus.IM_USED
        held = fetched.snapshot
        fresh = SnapshotSource(transport, "shop", "default").fetch_once()
        assert (held.etag, content(held)) == (fresh.etag, content(fresh))

    assert followed > 5


def test_a_server_that_started_anew_sends_the_whole(
    client: ConfigClient, transport: Recorder
) -> None:
    client.applications.create(name="shop")
    client.configurations.create("shop", name="a", config={"n": 1})
    held = SnapshotSource(transport, "shop", "default").fetch_once()
    held.etag = '"0123456789abcdef0123456789abcdef"'

    fetched = SnapshotSource(transport, "shop", "default").fetch(held)

    assert transport.statuses[-1] == HTTPStatus.OK
    assert fetched.snapshot is not None


def test_what_a_schema_marks_is_not_shown(client: ConfigClient) -> None:
    client.applications.create(name="shop")
    client.configurations.create(
        "shop",
        name="database",
        config={"host": "db1", "password": "hunter2"},
        schema={"properties": {"password": {"type": "string", "writeOnly": True}}},
    )
    app = client.application("shop")

    assert app["database"]["password"] == "hunter2"
    assert "hunter2" not in repr(app["database"])
    assert "db1" in repr(app["database"])
