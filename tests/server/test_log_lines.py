"""Lines of the log: what each has, what the documentation says of it, and what none may have."""

import io
import json
import re
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import requests
import structlog
from falcon.testing import TestClient

from configsvc_server.app import Runtime, open_services
from configsvc_server.db.database import Database
from configsvc_server.domain.errors import UnstorableValueError
from configsvc_server.logs import DeferredStream, configure_logging
from configsvc_server.settings import Settings
from tests.server.http.support import ok
from tests.support.logs import restored_logging
from tests.support.servers import RunningServer, running_server

DOCUMENT = Path(__file__).parents[2] / "docs" / "observability.md"

API = "/api/v1"
MARKER = "marker-7f3a9c"

Lines: TypeAlias = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def database_url(emptied_database_url: str) -> str:
    """A database that other tests have used."""
    return emptied_database_url


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    """Everything that is logged, at the lowest level."""
    target = io.StringIO()
    streams: list[DeferredStream] = []

    def deferred(*args: Any, **kwargs: Any) -> DeferredStream:
        streams.append(DeferredStream(*args, **kwargs))
        return streams[-1]

    with restored_logging():
        monkeypatch.setattr(sys, "stderr", target)
        monkeypatch.setattr("configsvc_server.logs.DeferredStream", deferred)
        configure_logging(level="debug", log_format="json")

        def read() -> list[dict[str, Any]]:
            for stream in streams:
                stream.close()
            return [json.loads(line) for line in target.getvalue().splitlines()]

        yield read


@pytest.fixture
def guarded(lines: Lines, settings: Settings, database_url: str) -> Iterator[Runtime]:
    """The service for those who have a token."""
    guarded = settings.model_copy(update={"auth": "required", "rate_limit": None})
    with open_services(guarded, database_url) as runtime:
        yield runtime


@pytest.fixture
def server(guarded: Runtime) -> Iterator[RunningServer]:
    """The same on a real port."""
    with running_server(guarded.app, on_stop=guarded.release_waiters) as server:
        yield server


@pytest.fixture
def token(guarded: Runtime) -> str:
    """A token for everything."""
    assert guarded.first_token is not None
    return guarded.first_token.secret


def named(lines: list[dict[str, Any]], event: str) -> list[dict[str, Any]]:
    return [line for line in lines if line["event"] == event]


class TestChanges:
    def test_each_committed_change_has_one_line_with_who_what_and_where(
        self, guarded: Runtime, token: str, lines: Lines
    ) -> None:
        headers = {"Authorization": f"Bearer {token}", "X-Request-ID": "mine"}
        api = TestClient(guarded.app, headers=headers)
        application = ok(api.simulate_post(f"{API}/applications", json={"name": "shop"}), 201)
        path = f"{API}/applications/shop/configurations"
        body = {"name": "db", "config": {"size": 1}, "message": "why"}
        created = ok(api.simulate_post(path, json=body), 201)
        patch = {"config": {"size": 2}}
        one = f"{API}/configurations/{created['id']}"
        ok(api.simulate_patch(one, json=patch, headers={"Content-Type": "application/json"}))
        assert api.simulate_delete(one).status_code == 204

        found = named(lines(), "change")
        actor = found[-1]["actor"]
        assert [(line["entity"], line["action"], line.get("version")) for line in found[-4:]] == [
            ("application", "create", None),
            ("configuration", "create", 1),
            ("configuration", "update", 2),
            ("configuration", "delete", 2),
        ]
        for line in found[-4:]:
            assert line["application_id"] == application["id"]
            assert line["request_id"] == "mine"
            assert line["actor"] == line["principal"] == actor
        for line in found[-3:]:
            assert line["configuration_id"] == created["id"]
            assert line["name"] == "db"
            assert line["environments"] == ["default"]

    def test_what_was_not_committed_has_none(
        self, guarded: Runtime, token: str, lines: Lines
    ) -> None:
        api = TestClient(guarded.app, headers={"Authorization": f"Bearer {token}"})
        for _ in range(2):
            api.simulate_post(f"{API}/applications", json={"name": "shop"})
        configuration = f"{API}/applications/shop/configurations"
        for _ in range(2):
            api.simulate_post(configuration, json={"name": "db", "config": {}})

        found = [line["entity"] for line in named(lines(), "change")]
        assert found.count("application") == 1
        assert found.count("configuration") == 1


class TestSecrets:
    def test_no_line_of_any_route_has_what_was_sent_to_it_or_a_token(
        self, server: RunningServer, token: str, lines: Lines
    ) -> None:
        for secret in (token, f"configsvc_{MARKER}", f"{MARKER}.{MARKER}.{MARKER}", MARKER):
            _call_every_route(server.url, secret)
        _send_malformed(server.server.port)

        text = json.dumps(lines())
        assert len(named(lines(), "request")) > 200
        assert len(named(lines(), "change")) > 5
        assert len(named(lines(), "request refused")) == 3
        assert MARKER not in text
        assert token not in text
        assert token.rpartition("_")[2] not in text

    def test_what_the_database_refuses_is_named_by_its_code(
        self, guarded: Runtime, database_url: str, lines: Lines
    ) -> None:
        with Database(database_url) as database:
            database.open()
            with pytest.raises(UnstorableValueError), database.autocommit() as connection:
                connection.execute("SELECT %s::integer", [MARKER])

        [line] = named(lines(), "the database refused a value")
        assert line["sqlstate"] == "22P02"
        assert MARKER not in json.dumps(line)

    def test_a_traceback_has_the_code_of_the_database_without_its_text(self, lines: Lines) -> None:
        class DatabaseError(Exception):
            sqlstate = "23514"

        cause = DatabaseError(f"failing row contains {MARKER}")
        error = KeyError("outer")
        error.__cause__ = cause
        structlog.get_logger().error("unexpected error", exc_info=error)

        [line] = named(lines(), "unexpected error")
        assert "SQLSTATE 23514" in line["exception"]
        assert "KeyError: 'outer'" in line["exception"]
        assert MARKER not in line["exception"]


def _call_every_route(url: str, secret: str) -> None:
    """Send each operation of the document several requests that are full of the marker."""
    with requests.Session() as session:
        session.headers.update(
            {
                "Authorization": f"Bearer {secret}",
                "Cookie": f"configsvc-session={MARKER}; other={MARKER}",
                "User-Agent": MARKER,
                "Referer": f"{url}/{MARKER}",
                "X-Change-Message": MARKER,
                "X-Other": MARKER,
                "X-CSRF-Token": MARKER,
                "Origin": f"http://{MARKER}",
            }
        )
        known = _fill(session, url)
        document = session.get(f"{url}/openapi.json", timeout=30).json()
        operations = [
            (method, path)
            for path, item in document["paths"].items()
            for method in item
            if method != "parameters"
        ]
        # What is deleted can't be called any more.
        for method, path in sorted(operations, key=lambda operation: operation[0] == "delete"):
            for body, condition in _BODIES:
                session.request(
                    method,
                    url + re.sub(r"\{(\w+)\}", lambda found: known[found[1]], path),
                    params={"q": MARKER, "after": MARKER, "code": MARKER, "error": MARKER},
                    data=None if method == "get" else body,
                    headers={"Content-Type": "application/json", **condition},
                    timeout=30,
                    allow_redirects=False,
                )


_BODIES: tuple[tuple[str, dict[str, str]], ...] = (
    (
        json.dumps(
            {"name": "a", "config": {MARKER: MARKER}, "comments": MARKER, "message": MARKER}
        ),
        {},
    ),
    (json.dumps({MARKER: [MARKER]}), {"If-Match": f'"{MARKER}"'}),
    (f'{{"{MARKER}": ', {"Prefer": MARKER}),
)


def _fill(session: requests.Session, url: str) -> dict[str, str]:
    """Write what is full of the marker, as far as the token may; return what to put into paths."""
    body = {"name": "shop", "comments": MARKER}
    shop = session.post(f"{url}{API}/applications", json=body, timeout=30).json()
    schema = {"type": "object", "properties": {"size": {"type": "integer", "title": MARKER}}}
    path = f"{url}{API}/applications/shop/configurations"
    created = session.post(
        path,
        json={
            "name": "db",
            "config": {"size": 1, "secret": MARKER},
            "schema": schema,
            "comments": MARKER,
            "message": MARKER,
        },
        timeout=30,
    ).json()
    session.post(path, json={"name": "x", "config": {"size": MARKER}, "schema": schema}, timeout=30)
    return {
        "application": shop.get("id", "shop"),
        "environment": "default",
        "instance": "web-1",
        "version": "1",
        "issuer": "corp",
        "id": created.get("id", "01JD8W5Q0Z4T9G7M2N3P4Q5R6S"),
    }


def _send_malformed(port: int) -> None:
    for head in (
        f"GET / HTTP/1.1\r\nHost: a\r\nX-Other: {MARKER}\r\nContent-Length: {MARKER}\r\n\r\n",
        f"GET /{'x' * 3000}?q={MARKER} HTTP/1.1\r\nHost: a\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: a\r\n{MARKER} : {MARKER}\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(head.encode())
            status = connection.recv(100).split()[1]
            assert status.startswith(b"4")


class TestDocumentation:
    def test_every_field_is_in_the_documentation_and_no_other(
        self, server: RunningServer, token: str, lines: Lines
    ) -> None:
        _call_every_route(server.url, token)
        _send_malformed(server.server.port)
        trace = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
        requests.get(f"{server.url}/health/live", headers=trace, timeout=30)

        found: dict[str, set[str]] = {}
        for line in lines():
            found.setdefault(line["event"], set()).update(line)
        documented = _documented_fields()
        assert {event: found[event] for event in documented} == documented


def _documented_fields() -> dict[str, set[str]]:
    """Return the fields of each event, by the table of the documentation."""
    section = DOCUMENT.read_text("utf-8").partition("\n### Fields\n")[2].partition("\n#")[0]
    fields: dict[str, set[str]] = {}
    for names, events in re.findall(r"^\| (`.*?) \| (`.*?) \|", section, re.MULTILINE):
        for event in re.findall(r"`(.*?)`", events):
            fields.setdefault(event, set()).update(re.findall(r"`(.*?)`", names))
    return fields


def test_a_thread_keeps_nothing_of_a_request_for_later_lines(
    server: RunningServer, lines: Lines
) -> None:
    # It is answered by the thread of the event loop.
    requests.get(f"{server.url}/health/live", headers={"X-Request-ID": "early"}, timeout=30)
    _send_malformed(server.server.port)

    refused = named(lines(), "request refused")
    assert len(refused) == 3
    assert "early" not in {line["request_id"] for line in refused}
    assert all("principal" not in line for line in refused)
