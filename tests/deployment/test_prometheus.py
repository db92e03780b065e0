"""A real Prometheus scrapes a server under load, and its alerts fire and end."""

import shutil
import tempfile
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from configsvc_server.db.embedded import EmbeddedPostgres
from tests.deployment.monitoring import Prometheus, faster, prometheus
from tests.deployment.promql import panels
from tests.support.postgres import FAST
from tests.support.servers import server_process
from tests.support.waiting import until

DATABASE_DOWN = "ConfigsvcDatabaseDown"
FAILURES = "ConfigsvcBudgetBurnsFast availability"

# Panels of what does not happen here: sign-ins, schemas, applications that export metrics.
WITHOUT_CONTENT = {
    "Age of snapshots",
    "Alerts",
    "Objects that do not follow",
    "Releases under way",
    "Sign-ins",
    "Stale applications",
    "Time of checks",
}


@pytest.fixture(scope="module")
def postgres() -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL that a test may stop and start."""
    # Not in a folder of pytest, for the reason that data_dir has.
    folder = Path(tempfile.mkdtemp(prefix="configsvc-test-"))
    postgres = EmbeddedPostgres(folder / "data", options=FAST)
    yield postgres
    postgres.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def server(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server over it, with as many requests as four clients send."""
    flags = ("--database-url", postgres.start(), "--database-timeout", "1")
    folder = tmp_path_factory.mktemp("server")
    with server_process(*flags, cwd=folder) as server, load(server.url):
        yield server.url


@pytest.fixture(scope="module")
def watch(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Prometheus that has scraped the server."""
    with prometheus(server, tmp_path_factory.mktemp("prometheus")) as watch:
        until(lambda: watch.value('configsvc:slo_events:rate5m{slo="availability"}'))
        yield watch


@pytest.fixture
def instance(server: str) -> "Iterator[Instance]":
    """A process that reads an application of its own, and serves what it should."""
    with requests.Session() as session:
        instance = Instance(server, session, f"billing-{uuid.uuid4().hex[:8]}")
        instance.poll()
        yield instance


@pytest.mark.timeout(300)
def test_an_alert_fires_when_postgresql_is_stopped_and_ends_when_it_is_back(
    watch: Prometheus, postgres: EmbeddedPostgres
) -> None:
    assert not {DATABASE_DOWN, FAILURES} & watch.firing()

    postgres.stop()
    until(lambda: watch.firing() >= {DATABASE_DOWN, FAILURES})

    postgres.start()
    until(lambda: not {DATABASE_DOWN, FAILURES} & watch.firing())
    assert watch.value('up{job="configsvc"}') == 1


@pytest.mark.timeout(300)
def test_an_alert_fires_for_an_instance_that_stays_behind_and_ends_when_it_follows(
    watch: Prometheus, instance: "Instance"
) -> None:
    alert = f"ConfigsvcReleaseNotArrived {instance.application}"
    instance.release()

    until(lambda: alert in watch.firing())

    instance.poll()
    until(lambda: alert not in watch.firing())
    states = f'configsvc_fleet_instances{{application="{instance.application}", state="current"}}'
    assert watch.value(states) == 1


@pytest.mark.timeout(300)
def test_an_alert_fires_for_an_instance_that_rejects_and_ends_when_it_does_not(
    watch: Prometheus, instance: "Instance"
) -> None:
    alert = f"ConfigsvcReleaseRejected {instance.application}"
    instance.report({"configuration": "database", "pointer": "/size", "message": "is wrong"})

    until(lambda: alert in watch.firing())

    instance.report()
    until(lambda: alert not in watch.firing())


@pytest.mark.timeout(300)
def test_every_rule_works_on_what_a_server_exports(watch: Prometheus) -> None:
    until(lambda: all(rule["health"] == "ok" for rule in watch.rules()))

    for slo in ("availability", "latency", "listening"):
        # With no event, a burn rate is no number.
        burn = f'configsvc:slo_burn:rate5m{{slo="{slo}"}}'
        until(lambda: watch.value(f"count({burn} >= 0)") == 1)  # noqa: B023
    until(lambda: watch.value('configsvc:slo_events:rate5m{slo="freshness"}') > 0)


@pytest.mark.timeout(300)
def test_every_panel_of_the_dashboard_shows_something(watch: Prometheus) -> None:
    for panel in panels():
        if panel["title"] not in WITHOUT_CONTENT:
            until(lambda: any(_shown(watch, target["expr"]) for target in panel["targets"]))  # noqa: B023


def test_only_durations_run_faster() -> None:
    text = "record: a:rate5m\nexpr: b:rate5m[1h] > 300\nfor: 15m\ninterval: 30s\nwindow: 6h\n"

    assert faster(text) == (
        "record: a:rate5m\nexpr: b:rate5m[60s] > 300\nfor: 15s\ninterval: 1s\nwindow: 6h\n"
    )


def _shown(watch: Prometheus, expression: str) -> list[object]:
    """Return what a panel shows of all servers."""
    choices = {"$job": "configsvc", "$instance": ".*", "$__rate_interval": "10s"}
    for variable, value in choices.items():
        expression = expression.replace(variable, value)
    found: list[object] = watch.ask("query", query=expression)["result"]
    return found


class Instance:
    """Process that says who it is when it polls, as the SDK does."""

    def __init__(self, url: str, session: requests.Session, application: str) -> None:
        self.application = application
        self._session = session
        base = f"{url}/api/v1/applications/{application}"
        self._environment = f"{base}/environments/default"
        self._send("POST", f"{url}/api/v1/applications", {"name": application})
        body = {"name": "database", "config": {"size": 1}}
        made = self._send("POST", f"{base}/configurations", body).json()
        self._configuration = f"{url}/api/v1/configurations/{made['id']}"

    def release(self) -> None:
        """Have the environment serve something else."""
        self._send("PUT", self._configuration, {"name": "database", "config": {"size": 2}})

    def poll(self) -> None:
        """Get what is served, and say that it is used now."""
        found = self._send("GET", f"{self._environment}/snapshot")
        self._send("GET", f"{self._environment}/snapshot", tag=found.headers["ETag"])

    def report(self, *rejections: dict[str, str]) -> None:
        """Say what of it can't be used."""
        tag = self._send("GET", f"{self._environment}/snapshot").headers["ETag"]
        body = {"version": tag.strip('"'), "rejections": rejections}
        self._send("POST", f"{self._environment}/instances/web-1/rejections", body)

    def _send(
        self, method: str, url: str, body: object = None, tag: str | None = None
    ) -> requests.Response:
        headers = {"Configsvc-Instance": 'id="web-1", interval=3600'}
        if tag is not None:
            headers["If-None-Match"] = tag
        answer = self._session.request(method, url, json=body, headers=headers, timeout=30)
        assert answer.status_code < 400, answer.text
        return answer


@contextmanager
def load(url: str) -> Iterator[None]:
    """Have four clients read, write and wait while the block runs, whatever they are answered."""
    with requests.Session() as session:
        made = session.post(f"{url}/api/v1/applications", json={"name": "shop"}, timeout=30)
        assert made.status_code == 201, made.text
        made = session.post(
            f"{url}/api/v1/applications/shop/configurations",
            json={"name": "database", "config": {"size": 0}},
            timeout=30,
        )
        assert made.status_code == 201, made.text
    configuration = f"{url}/api/v1/configurations/{made.json()['id']}"
    snapshot = f"{url}/api/v1/applications/shop/environments/default/snapshot"
    over = threading.Event()
    with ThreadPoolExecutor(4) as pool:
        clients = [
            pool.submit(_write, configuration, over),
            pool.submit(_wait, snapshot, over),
            *(pool.submit(_read, address, over) for address in (snapshot, f"{url}/api/v1/changes")),
        ]
        try:
            yield
        finally:
            over.set()
    for client in clients:
        client.result()


def _read(address: str, over: threading.Event) -> None:
    with requests.Session() as session:
        while not over.wait(0.02):
            session.get(address, timeout=30)


def _write(address: str, over: threading.Event) -> None:
    kind = {"Content-Type": "application/merge-patch+json"}
    with requests.Session() as session:
        size = 0
        while not over.wait(0.1):
            size += 1
            session.patch(address, json={"config": {"size": size}}, headers=kind, timeout=30)


def _wait(address: str, over: threading.Event) -> None:
    etag = '"none"'
    with requests.Session() as session:
        while not over.wait(0.02):
            headers = {"If-None-Match": etag, "Prefer": "wait=5"}
            etag = session.get(address, headers=headers, timeout=30).headers.get("ETag", etag)
