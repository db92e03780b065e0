"""Failures: the database away, the pool exhausted, two writers at once."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from falcon.testing import Result, TestClient

from configsvc_server.app import open_services
from configsvc_server.db.database import Database
from configsvc_server.db.embedded import EmbeddedPostgres
from configsvc_server.db.migrations import Migrator
from configsvc_server.domain.errors import UnavailableError
from configsvc_server.settings import Settings
from tests.server.http.support import problem
from tests.support.postgres import FAST, wait_for_lock

APPLICATIONS = "/api/v1/applications"


@pytest.mark.slow
class TestDatabaseAway:
    @pytest.fixture
    def postgres(self, data_dir: Path) -> Iterator[EmbeddedPostgres]:
        """A PostgreSQL of the test's own, to be stopped while others go on."""
        embedded = EmbeddedPostgres(data_dir, options=FAST)
        yield embedded
        embedded.stop()

    @pytest.fixture
    def api(self, settings: Settings, postgres: EmbeddedPostgres) -> Iterator[TestClient]:
        url = postgres.start()
        Migrator(url).up()
        small = settings.model_copy(update={"pool_size": 4, "database_timeout": 2.0})
        with open_services(small, url) as runtime:
            yield TestClient(runtime.app)

    def test_requests_get_503_and_recover_by_themselves(
        self, api: TestClient, postgres: EmbeddedPostgres
    ) -> None:
        assert api.simulate_post(APPLICATIONS, json={"name": "a"}).status_code == 201
        postgres.stop()

        for _ in range(6):  # more than there are connections
            refused = api.simulate_get(APPLICATIONS)
            problem(refused, 503)
            assert int(refused.headers["retry-after"]) >= 1
        problem(api.simulate_post(APPLICATIONS, json={"name": "b"}), 503)
        assert api.simulate_get("/health/live").status_code == 200
        ready = api.simulate_get("/health/ready")
        assert ready.status_code == 503
        assert ready.json["checks"]["database"]["status"] == "fail"

        postgres.start()

        answer = until_not_503(api)
        assert [item["name"] for item in answer.json["items"]] == ["a"]
        assert api.simulate_post(APPLICATIONS, json={"name": "b"}).status_code == 201

    def test_connections_that_died_while_idle_are_not_noticed_by_requests(
        self, api: TestClient, postgres: EmbeddedPostgres
    ) -> None:
        with ThreadPoolExecutor(4) as pool:  # so that there are several connections
            list(pool.map(lambda _: api.simulate_get(APPLICATIONS), range(20)))

        postgres.stop()
        postgres.start()

        for _ in range(8):
            assert api.simulate_get(APPLICATIONS).status_code == 200

    def test_a_start_without_a_database_says_why(self) -> None:
        database = Database("postgresql://nobody@127.0.0.1:1/nothing", timeout=1.0)

        with pytest.raises(UnavailableError, match=r"nothing at 127\.0\.0\.1:1.*refused"):
            database.open(wait=1.0)


def until_not_503(api: TestClient) -> Result:
    """Ask until the database is back; each answer takes its time, so nothing sleeps here."""
    while True:
        result = api.simulate_get(APPLICATIONS)
        if result.status_code != 503:
            return result


class TestPool:
    def test_an_exhausted_pool_is_busy_and_recovers(self, database_url: str) -> None:
        with Database(database_url, pool_size=1, timeout=0.2) as database:
            database.open()
            with (
                database.autocommit(),
                pytest.raises(UnavailableError, match="busy") as refused,
                database.autocommit(),
            ):
                pass

            assert refused.value.retry_after > 0
            with database.autocommit() as connection:
                assert connection.execute("SELECT 1").fetchone() == (1,)

    def test_a_read_that_is_kept_waiting_gives_503_and_recovers(
        self, settings: Settings, database_url: str
    ) -> None:
        small = settings.model_copy(update={"pool_size": 1, "database_timeout": 0.2})
        with open_services(small, database_url) as runtime:
            api = TestClient(runtime.app)
            with psycopg.connect(database_url) as connection:
                connection.execute("LOCK TABLE applications")
                refused = api.simulate_get(APPLICATIONS)

            assert "busy" in problem(refused, 503)["detail"]
            assert refused.headers["retry-after"]
            assert api.simulate_get(APPLICATIONS).status_code == 200

    def test_a_statement_that_takes_too_long_is_given_up(self, database_url: str) -> None:
        with Database(database_url, pool_size=1, statement_timeout=0.1) as database:
            database.open()

            with pytest.raises(UnavailableError, match="too busy"), database.autocommit() as c:
                c.execute("SELECT pg_sleep(10)")

            with database.autocommit() as connection:
                assert connection.execute("SELECT 1").fetchone() == (1,)

    def test_a_connection_cut_during_a_request_gives_503(
        self, database: Database, database_url: str
    ) -> None:
        def cut(connection: psycopg.Connection) -> None:
            with psycopg.connect(database_url, autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(%s)", [connection.info.backend_pid])
            connection.execute("SELECT 1")

        with pytest.raises(UnavailableError), database.autocommit() as connection:
            cut(connection)
        with pytest.raises(UnavailableError), database.transaction() as connection:
            cut(connection)

        with database.autocommit() as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


class TestTwoWriters:
    @pytest.fixture
    def path(self, api: TestClient) -> str:
        api.simulate_post(APPLICATIONS, json={"name": "a"})
        created = api.simulate_post(
            f"{APPLICATIONS}/a/configurations", json={"name": "c", "config": {}}
        )
        return str(created.headers["location"])

    @pytest.mark.parametrize("method", ["PUT", "PATCH"])
    def test_many_writers_make_one_version_each(
        self, api: TestClient, path: str, method: str
    ) -> None:
        def write(n: int) -> int:
            body = {"name": "c", "config": {"n": n}}
            return int(api.simulate_request(method, path, json=body).json["version"])

        with ThreadPoolExecutor(8) as pool:
            versions = list(pool.map(write, range(40)))

        assert sorted(versions) == list(range(2, 42))
        revisions = api.simulate_get(f"{path}/revisions").json["items"]
        assert [r["version"] for r in revisions] == list(range(1, 42))

    @pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
    def test_of_many_conditional_writers_one_goes_through(
        self, api: TestClient, path: str, method: str
    ) -> None:
        start = threading.Barrier(6)

        def write(_: int) -> int:
            start.wait()
            body = None if method == "DELETE" else {"name": "c", "config": {}}
            headers = {"If-Match": '"1"'}
            return api.simulate_request(method, path, json=body, headers=headers).status_code

        with ThreadPoolExecutor(6) as pool:
            statuses = sorted(pool.map(write, range(6)))

        lost = 404 if method == "DELETE" else 412
        assert statuses == [204 if method == "DELETE" else 200, *[lost] * 5]

    @pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
    def test_a_conditional_writer_that_waits_for_another_notices_its_write(
        self, api: TestClient, database_url: str, method: str
    ) -> None:
        """Both have read the same application, and the first one waits for the write lock."""
        path = f"{APPLICATIONS}/b"
        etag = api.simulate_post(APPLICATIONS, json={"name": "b"}).headers["etag"]

        def write(method: str, comments: str) -> int:
            body = None if method == "DELETE" else {"name": "b", "comments": comments}
            headers = {"If-Match": etag}
            return api.simulate_request(method, path, json=body, headers=headers).status_code

        with ThreadPoolExecutor(2) as pool, psycopg.connect(database_url) as holder:
            holder.execute("SELECT configsvc_acquire_write_lock(NULL, NULL, NULL)")
            first = pool.submit(write, "PUT", "first")
            wait_for_lock(database_url)
            second = pool.submit(write, method, "second")
            wait_for_lock(database_url, waiting=2)
            holder.commit()

            assert (first.result(), second.result()) == (200, 412)
        assert api.simulate_get(path).json["comments"] == "first"

    def test_a_conditional_writer_notices_a_configuration_that_came_meanwhile(
        self, api: TestClient, database_url: str
    ) -> None:
        path = f"{APPLICATIONS}/b"
        etag = api.simulate_post(APPLICATIONS, json={"name": "b"}).headers["etag"]
        with ThreadPoolExecutor(2) as pool, psycopg.connect(database_url) as holder:
            holder.execute("SELECT configsvc_acquire_write_lock(NULL, NULL, NULL)")
            created = pool.submit(
                api.simulate_post, f"{path}/configurations", json={"name": "c", "config": {}}
            )
            wait_for_lock(database_url)
            changed = pool.submit(
                api.simulate_patch, path, json={"comments": "x"}, headers={"If-Match": etag}
            )
            wait_for_lock(database_url, waiting=2)
            holder.commit()

            assert created.result().status_code == 201
            assert changed.result().status_code == 412

    def test_of_many_creators_of_one_name_one_goes_through(self, api: TestClient) -> None:
        with ThreadPoolExecutor(6) as pool:
            statuses = sorted(
                pool.map(
                    lambda _: api.simulate_post(APPLICATIONS, json={"name": "n"}).status_code,
                    range(6),
                )
            )

        assert statuses == [201, *[409] * 5]

    def test_a_configuration_made_while_its_application_is_deleted_leaves_no_orphan(
        self, api: TestClient, path: str
    ) -> None:
        def create(n: int) -> int:
            body = {"name": f"c{n}", "config": {}}
            return api.simulate_post(f"{APPLICATIONS}/a/configurations", json=body).status_code

        with ThreadPoolExecutor(6) as pool:
            creations = [pool.submit(create, n) for n in range(20)]
            deletion = pool.submit(api.simulate_delete, f"{APPLICATIONS}/a")
            statuses = {creation.result() for creation in creations}

        assert deletion.result().status_code == 204
        assert statuses <= {201, 404}
        assert api.simulate_get("/api/v1/configurations").json["total"] == 0

    def test_changes_become_visible_in_the_order_of_their_ids(
        self, api: TestClient, database_url: str, path: str
    ) -> None:
        done = threading.Event()
        seen: list[int] = []

        def follow() -> None:
            with psycopg.connect(database_url, autocommit=True) as connection:
                while True:
                    last = done.is_set()
                    rows = connection.execute(
                        "SELECT id FROM changes WHERE id > %s ORDER BY id",
                        [seen[-1] if seen else 0],
                    )
                    seen.extend(row[0] for row in rows)
                    if last:
                        return

        with ThreadPoolExecutor(9) as pool:
            follower = pool.submit(follow)
            for write in [
                pool.submit(
                    api.simulate_request,
                    "PATCH" if n % 2 else "PUT",
                    path,
                    json={"name": "c", "config": {"n": n}},
                )
                for n in range(100)
            ]:
                assert write.result().status_code == 200
            done.set()
            follower.result()

        with psycopg.connect(database_url) as connection:
            every = [row[0] for row in connection.execute("SELECT id FROM changes ORDER BY id")]
        assert seen == every
