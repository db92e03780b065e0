"""Writers that wait for one another: reads, health checks and the past go on."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from datetime import UTC, datetime

import psycopg
import pytest
from falcon.testing import Result, TestClient
from structlog.testing import capture_logs

from configsvc_server.app import open_services
from configsvc_server.db.database import Database
from configsvc_server.settings import Settings
from tests.server.http.support import problem
from tests.support.postgres import wait_for_lock

APPLICATIONS = "/api/v1/applications"
SNAPSHOT = f"{APPLICATIONS}/billing/environments/default/snapshot"
WRITERS = 20


@pytest.fixture
def patient(settings: Settings) -> Settings:
    """Settings by which nobody gives up while a test runs."""
    return settings.model_copy(update={"database_timeout": 60.0})


@pytest.fixture
def hasty(settings: Settings) -> Settings:
    return settings.model_copy(update={"database_timeout": 0.5})


@contextmanager
def serving(settings: Settings, url: str) -> Iterator[TestClient]:
    with open_services(settings, url) as runtime:
        api = TestClient(runtime.app)
        assert create(api, "billing").status_code == 201
        yield api


@contextmanager
def held_write_lock(url: str) -> Iterator[None]:
    """Hold the write lock, as a slow writer of another server does."""
    with psycopg.connect(url) as holder:
        holder.execute("SELECT configsvc_acquire_write_lock(NULL, NULL, NULL)")
        yield


def create(api: TestClient, name: str) -> Result:
    return api.simulate_post(APPLICATIONS, json={"name": name})


def past(api: TestClient, timestamp: datetime) -> Result:
    return api.simulate_get(SNAPSHOT, params={"at": timestamp.isoformat().replace("+00:00", "Z")})


def test_queued_writers_leave_connections_to_reads_and_readiness(
    patient: Settings, database_url: str
) -> None:
    with serving(patient, database_url) as api, ThreadPoolExecutor(WRITERS) as pool:
        with held_write_lock(database_url):
            writers = [pool.submit(create, api, f"a{number}") for number in range(WRITERS)]
            wait_for_lock(database_url, waiting=2)

            assert api.simulate_get(APPLICATIONS).status_code == 200
            assert api.simulate_get(SNAPSHOT).status_code == 200
            assert api.simulate_get("/health/ready").status_code == 200
            assert not any(writer.done() for writer in writers)

        assert [writer.result().status_code for writer in writers] == [201] * WRITERS


def test_busy_reads_leave_a_connection_to_readiness(patient: Settings, database_url: str) -> None:
    with serving(patient, database_url) as api, ThreadPoolExecutor(WRITERS) as pool:
        with psycopg.connect(database_url) as holder:
            holder.execute("LOCK TABLE applications")
            reads = [pool.submit(api.simulate_get, APPLICATIONS) for _ in range(WRITERS)]
            wait_for_lock(database_url, waiting=6)

            assert api.simulate_get("/health/ready").status_code == 200
            assert not any(read.done() for read in reads)

        assert [read.result().status_code for read in reads] == [200] * WRITERS


def test_busy_reads_leave_connections_to_writers(patient: Settings, database_url: str) -> None:
    with serving(patient, database_url) as api, ThreadPoolExecutor(WRITERS) as pool:
        with psycopg.connect(database_url) as holder:
            holder.execute("LOCK TABLE releases")
            reads = [
                pool.submit(past, api, datetime(2020, 1, 1, tzinfo=UTC)) for _ in range(WRITERS)
            ]
            wait_for_lock(database_url, waiting=6)

            body = {"comments": "x"}
            assert api.simulate_patch(f"{APPLICATIONS}/billing", json=body).status_code == 200
            assert not any(read.done() for read in reads)

        assert [read.result().status_code for read in reads] == [404] * WRITERS


def test_more_writers_than_may_queue_are_refused_at_once(
    patient: Settings, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Database, "MAX_QUEUED_WRITES", 1)
    small = patient.model_copy(update={"pool_size": 1})
    with serving(small, database_url) as api, ThreadPoolExecutor(5) as pool:
        with held_write_lock(database_url):
            writers = [pool.submit(create, api, f"a{number}") for number in range(5)]
            done = as_completed(writers)
            refused = [next(done).result() for _ in range(3)]

        for answer in refused:
            assert "busy" in problem(answer, 503)["detail"]
            assert int(answer.headers["retry-after"]) >= 1
        assert [answer.result().status_code for answer in done] == [201, 201]


def test_a_writer_that_waits_too_long_gets_503(hasty: Settings, database_url: str) -> None:
    with serving(hasty, database_url) as api:
        with held_write_lock(database_url):
            refused = create(api, "a")

        assert "busy" in problem(refused, 503)["detail"]
        assert int(refused.headers["retry-after"]) >= 1
        assert create(api, "a").status_code == 201


class TestPast:
    def test_does_not_wait_for_a_writer_without_end(
        self, hasty: Settings, database_url: str
    ) -> None:
        with serving(hasty, database_url) as api:
            with held_write_lock(database_url):
                refused = past(api, datetime.now(UTC))

            problem(refused, 503)
            assert int(refused.headers["retry-after"]) >= 1
            assert past(api, datetime.now(UTC)).status_code == 200

    def test_leaves_connections_to_others_while_it_waits(
        self, patient: Settings, database_url: str
    ) -> None:
        with serving(patient, database_url) as api, ThreadPoolExecutor(WRITERS) as pool:
            with held_write_lock(database_url):
                waiting = [pool.submit(past, api, datetime.now(UTC)) for _ in range(WRITERS)]
                wait_for_lock(database_url)

                assert api.simulate_get(APPLICATIONS).status_code == 200
                assert api.simulate_get("/health/ready").status_code == 200
                assert not any(answer.done() for answer in waiting)

            assert [answer.result().status_code for answer in waiting] == [200] * WRITERS

    def test_that_is_settled_waits_for_nobody(self, patient: Settings, database_url: str) -> None:
        with serving(patient, database_url) as api:
            timestamp = datetime.now(UTC)
            assert past(api, timestamp).status_code == 200

            with held_write_lock(database_url):
                assert past(api, timestamp).status_code == 200

    def test_those_who_wait_for_the_same_writer_give_up_together(
        self, hasty: Settings, database_url: str
    ) -> None:
        """Otherwise each would wait the whole time, one after the other."""
        with (
            serving(hasty, database_url) as api,
            ThreadPoolExecutor(WRITERS) as pool,
            held_write_lock(database_url),
            capture_logs() as logs,
        ):
            answers = list(pool.map(lambda _: past(api, datetime.now(UTC)), range(WRITERS)))

        assert [answer.status_code for answer in answers] == [503] * WRITERS
        given_up = [line for line in logs if line["event"] == "statement given up"]
        assert 1 <= len(given_up) < WRITERS
