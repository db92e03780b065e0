"""A view that is sent deltas, and what it does with those that are wrong."""

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from configsvc_client import ConfigView
from tests.client.conftest import MakeClient
from tests.client.snapshot_documents import delta, entry, etag_of, whole
from tests.client.stub import Behaviour, Handler, StubServer, eventually

if TYPE_CHECKING:
    from collections.abc import Callable

STATES = [
    {"database": entry({"pool_size": size}, size), "mail": entry({"host": "m"})}
    for size in range(1, 6)
]


class Deltas:
    """Behaviour of a server that goes from one state to the next, by deltas where it may."""

    def __init__(self) -> None:
        self.state = 0
        self.spoil: Callable[[bytes], bytes] = lambda body: body
        self.sent: list[tuple[int, bool]] = []

    def __call__(self, handler: Handler) -> None:
        known = handler.headers.get("If-None-Match")
        stub = handler.stub
        tags = [etag_of(state) for state in STATES]
        with stub.changed:
            granted = {}
            if handler.headers.get("Prefer"):
                granted = {"Preference-Applied": handler.headers["Prefer"]}
                stub.changed.wait_for(
                    lambda: known != tags[self.state] or stub.stopping.is_set(), 20
                )
            state = self.state
        headers = {"ETag": tags[state], **granted}
        if known == tags[state]:
            handler.reply(304, headers=headers)
        elif known in tags and handler.headers.get("A-IM") == "configsvc-delta":
            self.sent.append((226, known is None))
            body = self.spoil(delta(STATES[tags.index(known)], STATES[state]))
            handler.reply(226, body, {**headers, "IM": "configsvc-delta", "Delta-Base": known})
        else:
            self.sent.append((200, known is None))
            handler.reply(200, whole(STATES[state]), headers)

    def go_on(self, stub: StubServer) -> int:
        with stub.changed:
            self.state += 1
            stub.changed.notify_all()
        return self.state + 1


@pytest.fixture
def deltas(stub: StubServer) -> Deltas:
    behaviour = Deltas()
    stub.answer(behaviour)
    return behaviour


@pytest.fixture
def app(stub: StubServer, deltas: Deltas, make_client: MakeClient) -> ConfigView:
    """A view that is ready."""
    view = make_client(stub.url).application("billing")
    view.wait_until_ready()
    return view


def test_after_the_first_snapshot_it_is_sent_deltas(
    app: ConfigView, stub: StubServer, deltas: Deltas
) -> None:
    mail = app["mail"]
    for _ in range(3):
        size = deltas.go_on(stub)
        eventually(lambda size=size: app["database"]["pool_size"] == size)  # type: ignore[misc]

    assert [status for status, _ in deltas.sent] == [200, 226, 226, 226]
    assert app["mail"] is mail


def test_a_wrong_delta_is_never_served_and_the_whole_fetched_instead(
    app: ConfigView, stub: StubServer, deltas: Deltas, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[Any] = []
    app.on_change(lambda change: seen.append(change.new), "database.pool_size")
    deltas.spoil = lambda body: body.replace(b'"pool_size":', b'"pool_size":9')
    for _ in range(2):
        size = deltas.go_on(stub)
        eventually(lambda size=size: app["database"]["pool_size"] == size)  # type: ignore[misc]
    eventually(lambda: len(seen) == 2)

    assert seen == [2, 3]
    assert deltas.sent == [(200, True), (226, False), (200, True), (226, False), (200, True)]
    assert not app.status().stale
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len([record for record in warnings if "whole snapshot" in record.message]) == 1


def test_after_a_wrong_delta_the_next_one_may_be_right(
    app: ConfigView, stub: StubServer, deltas: Deltas
) -> None:
    deltas.spoil = lambda _: b"garbage"
    deltas.go_on(stub)
    eventually(lambda: app["database"]["pool_size"] == 2)
    deltas.spoil = lambda body: body
    deltas.go_on(stub)
    eventually(lambda: app["database"]["pool_size"] == 3)

    assert [status for status, _ in deltas.sent] == [200, 226, 200, 226]


def in_another_way(handler: Handler) -> None:
    body = json.dumps(json.loads(whole(STATES[0]))).encode()
    handler.reply(200, body, {"ETag": etag_of(STATES[0])})


def another_tag(handler: Handler) -> None:
    handler.reply(200, whole(STATES[0]), {"ETag": '"1"'})


@pytest.mark.parametrize("behaviour", [in_another_way, another_tag])
def test_what_can_not_be_checked_is_no_base(
    stub: StubServer, make_client: MakeClient, behaviour: Behaviour
) -> None:
    stub.answer(behaviour)
    app = make_client(stub.url).application("billing")
    app.wait_until_ready()
    app.refresh()

    assert app["database"]["pool_size"] == 1
    assert all("A-IM" not in headers for _, _, headers in stub.requests)
