"""Metrics over real ports: under load, while every thread is at work, of what was refused."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager

import psycopg
import pytest
import requests

from configsvc_server.app import Runtime
from configsvc_server.cache.waiters import ChangeSignal
from configsvc_server.http.resources.metrics import create_metrics_api
from configsvc_server.serving.limits import Limits
from configsvc_server.serving.metrics_server import MetricsServer
from configsvc_server.serving.server import bind_sockets
from configsvc_server.telemetry.readings import serving_samples
from tests.server.telemetry.support import Scrape
from tests.support.postgres import wait_for_lock
from tests.support.servers import RunningServer, running_server
from tests.support.waiting import until

APPLICATIONS = "/api/v1/applications"
SNAPSHOT = f"{APPLICATIONS}/billing/environments/default/snapshot"
THREADS = 2


class Ports:
    """A server and the port of its metrics."""

    def __init__(self, server: RunningServer, metrics: MetricsServer) -> None:
        self.url = server.url
        self.server = server
        self.metrics_url = f"http://127.0.0.1:{metrics.port}/metrics"

    def scrape(self) -> Scrape:
        answer = requests.get(self.metrics_url, timeout=30)
        assert answer.status_code == 200
        return Scrape(answer.text)


@contextmanager
def serving(runtime: Runtime, limits: Limits | None = None) -> Iterator[Ports]:
    api = create_metrics_api(runtime.metrics.render)
    with (
        running_server(
            runtime.app, threads=THREADS, limits=limits, on_stop=runtime.release_waiters
        ) as server,
        MetricsServer(api, bind_sockets("127.0.0.1", 0)) as metrics,
    ):
        reading = server.server.reading
        runtime.metrics.watch("serving", lambda: serving_samples(reading()))
        yield Ports(server, metrics)


@pytest.fixture
def ports(runtime: Runtime) -> Iterator[Ports]:
    with serving(runtime) as ports:
        yield ports


def test_scrapes_under_load_count_every_request_once(ports: Ports) -> None:
    clients, each = 8, 50

    def load(number: int) -> None:
        with requests.Session() as session:
            for serial in range(each):
                body = {"name": f"a-{number}-{serial}"}
                path = APPLICATIONS if serial % 2 else f"/nowhere/{number}/{serial}"
                session.post(ports.url + path, json=body, timeout=60)

    with ThreadPoolExecutor(clients) as pool:
        loads = [pool.submit(load, number) for number in range(clients)]
        counts = []
        while wait(loads, timeout=0).not_done:
            counts.append(ports.scrape().value("configsvc_http_requests_total"))
        for done in loads:
            done.result()

    found = ports.scrape()
    total = "configsvc_http_requests_total"
    assert counts == sorted(counts)
    assert found.value(total) == clients * each
    assert found.value(total, route=APPLICATIONS, method="POST", status="201") == clients * each / 2
    assert found.value(total, route="unmatched", method="POST", status="404") == clients * each / 2
    duration = "configsvc_http_request_duration_seconds_count"
    assert found.value(duration) == clients * each
    assert found.value("configsvc_http_requests_in_flight") == 0
    assert found.value("configsvc_connections_accepted_total") == clients
    assert found.value("configsvc_scrape_errors_total") == 0


def test_a_port_of_their_own_answers_while_every_thread_is_at_work(
    ports: Ports, database_url: str
) -> None:
    with psycopg.connect(database_url) as connection, ThreadPoolExecutor(3 * THREADS) as pool:
        connection.execute("LOCK TABLE applications")
        stuck = [
            pool.submit(requests.get, ports.url + APPLICATIONS, timeout=60)
            for _ in range(3 * THREADS)
        ]
        wait_for_lock(database_url, waiting=THREADS)
        until(
            lambda: (
                ports.scrape().value("configsvc_lane_queued_requests", lane="read") == 2 * THREADS
            )
        )

        found = ports.scrape()
        assert found.value("configsvc_lane_busy_threads", lane="read") == THREADS
        assert found.value("configsvc_http_requests_in_flight") == THREADS
        assert found.value("configsvc_connections", phase="work") == 3 * THREADS
        assert found.value("configsvc_pool_connections_in_use", pool="reads") == THREADS

        connection.rollback()
        assert {answer.result().status_code for answer in stuck} == {200}


def test_a_port_of_their_own_has_nothing_else(ports: Ports) -> None:
    answer = requests.get(ports.metrics_url.replace("/metrics", APPLICATIONS), timeout=30)

    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("POST", 405)])
def test_a_port_of_their_own_is_only_read(ports: Ports, method: str, status: int) -> None:
    assert requests.request(method, ports.metrics_url, timeout=30).status_code == status


def test_an_idle_scraper_does_not_keep_the_port_from_stopping(runtime: Runtime) -> None:
    sockets = bind_sockets("127.0.0.1", 0)
    with (
        MetricsServer(create_metrics_api(runtime.metrics.render), sockets) as metrics,
        socket.create_connection(("127.0.0.1", metrics.port)) as idle,
    ):
        port = metrics.port
        idle.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert idle.recv(12) == b"HTTP/1.1 200"

    assert "configsvc-metrics" not in {thread.name for thread in threading.enumerate()}
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port)).close()


def test_what_never_reaches_the_application_is_counted(ports: Ports) -> None:
    for head in (b"GET / HTTP/1.1\r\nbad header\r\n\r\n", b"BREW / HTTP/1.1\r\nbad\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", ports.server.server.port)) as connection:
            connection.sendall(head)
            assert b" 400 " in connection.recv(1000)

    found = ports.scrape()
    refused = {"route": "refused", "status": "400"}
    assert found.value("configsvc_http_requests_total", **refused) == 2
    assert found.labels("configsvc_http_requests_total", "method") <= {"GET", "other"}


def test_a_connection_that_is_refused_is_counted_by_the_reason(runtime: Runtime) -> None:
    with serving(runtime, Limits(max_connections_per_peer=1)) as ports:
        address = ("127.0.0.1", ports.server.server.port)
        with socket.create_connection(address) as working:
            # A request that is not complete makes no room at once, but makes room.
            working.sendall(b"GET / HTTP/1.1\r\n")
            with socket.create_connection(address) as second:
                second.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
                assert second.recv(12) == b"HTTP/1.1 200"

        found = ports.scrape()

    assert found.value("configsvc_connections_closed_total", reason="room") == 1


def test_a_waiter_is_counted_while_it_waits_and_has_a_wake_delay(
    ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscribed = threading.Semaphore(0)
    subscribe = ChangeSignal.subscribe

    def announce(self: ChangeSignal, *args: object) -> object:
        subscribed.release()
        return subscribe(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(ChangeSignal, "subscribe", announce)
    requests.post(ports.url + APPLICATIONS, json={"name": "billing"}, timeout=30)
    etag = requests.get(ports.url + SNAPSHOT, timeout=30).headers["ETag"]
    before = ports.scrape()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(
            requests.get,
            ports.url + SNAPSHOT,
            headers={"If-None-Match": etag, "Prefer": "wait=60"},
            timeout=90,
        )
        assert subscribed.acquire(timeout=60)
        until(lambda: ports.scrape().value("configsvc_http_requests_in_flight") == 0)
        found = ports.scrape()
        assert found.value("configsvc_waiters") == 1
        assert found.value("configsvc_connections", phase="work") == 1

        configuration = {"name": "a", "config": {}}
        path = f"{APPLICATIONS}/billing/configurations"
        requests.post(ports.url + path, json=configuration, timeout=30)
        assert waiting.result().status_code == 200

    until(lambda: ports.scrape().value("configsvc_wake_delay_seconds_count") == 1)
    found = ports.scrape()
    assert found.value("configsvc_waiters") == 0
    # How long it has waited says nothing of the server.
    route = f"{APPLICATIONS}/{{application}}/environments/{{environment}}/snapshot"
    duration = "configsvc_http_request_duration_seconds_count"
    assert found.value(duration, route=route) == before.value(duration, route=route) == 1
    assert found.value("configsvc_http_requests_total", route=route, status="200") == 2
