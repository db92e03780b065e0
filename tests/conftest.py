"""Fixtures of both packages: a database of one's own, the app over it, a real server."""

import gc
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import falcon.testing
import hypothesis
import pytest

from configsvc_server.app import Runtime, open_services
from configsvc_server.db.database import Database
from configsvc_server.http.errors import WsgiApp
from configsvc_server.settings import Settings
from tests.support.postgres import cluster, empty_tables, ensure_template, fresh_database
from tests.support.servers import RunningServer, running_server

# Half of the usual number of examples: every run takes others. HYPOTHESIS_PROFILE=default has
# all of them.
hypothesis.settings.register_profile("half", max_examples=50, deadline=None)
hypothesis.settings.register_profile("few", max_examples=5, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "half"))

# Folders and modules of what takes long: processes, kills, outages, attacks, type checks of
# examples. Single tests elsewhere are marked; of each feature, some test is in neither.
SLOW = (
    "attacks",
    "client/aio/test_typing.py",
    "client/live/test_processes.py",
    "client/live/test_view.py",
    "client/test_typing.py",
    "client/view/test_failures.py",
    "client/view/test_processes.py",
    "client/view/test_shared_polls.py",
    "deployment",
    "docs/test_safe_changes.py",
    "examples",
    "hosts",
    "server/cli/test_migrate.py",
    "server/cli/test_options.py",
    "server/db/test_embedded.py",
    "tools",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what ``make quick`` leaves out."""
    tests = Path(__file__).parent
    for item in items:
        if item.path.relative_to(tests).as_posix().startswith(SLOW):
            item.add_marker(pytest.mark.slow)


def pytest_collection_finish() -> None:
    """Spare collections of garbage what stays until the end: modules and thousands of tests."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def cluster_url() -> Iterator[str]:
    """A PostgreSQL cluster, shared by every worker of the run."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID") or uuid.uuid4().hex
    folder = Path(tempfile.gettempdir()) / f"configsvc-tests-{run}"
    with cluster(folder) as url:
        yield url
    # The last worker to end stops the cluster and tidies up.
    if not (folder / "postgres" / "postmaster.pid").exists():
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A folder for a PostgreSQL of the test's own, which is not there yet.

    It is not below ``tmp_path``: as root, PostgreSQL runs as another user, and pytest closes
    its folders to other users again whenever another run of it begins.
    """
    folder = Path(tempfile.mkdtemp(prefix="configsvc-test-"))
    yield folder / "data"
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def template(cluster_url: str) -> str:
    """The name of a migrated database to make copies of."""
    return ensure_template(cluster_url)


@pytest.fixture
def empty_database_url(cluster_url: str) -> Iterator[str]:
    """A database of the test's own without any table."""
    with fresh_database(cluster_url) as url:
        yield url


@pytest.fixture
def new_database_url(cluster_url: str, template: str) -> Iterator[str]:
    """A migrated database of the test's own."""
    with fresh_database(cluster_url, template=template) as url:
        yield url


@pytest.fixture(scope="session")
def worker_database_url(cluster_url: str, template: str) -> Iterator[str]:
    """A migrated database for all the tests of one worker that are content with it."""
    with fresh_database(cluster_url, template=template) as url:
        yield url


@pytest.fixture
def emptied_database_url(worker_database_url: str) -> str:
    """The worker's database, as if nothing had been written to it yet.

    A test that changes more than rows takes a database of its own.
    """
    empty_tables(worker_database_url)
    return worker_database_url


@pytest.fixture
def database_url(emptied_database_url: str) -> str:
    """The database that the other fixtures are about; folders may choose another."""
    return emptied_database_url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An open pool over the test's database."""
    with Database(database_url, pool_size=8, timeout=5.0) as database:
        database.open()
        yield database


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The default settings, whatever the environment says; the test client has a host name."""
    return Settings.model_construct(data_dir=tmp_path, migrate=False, allowed_hosts=("*",))


@pytest.fixture
def runtime(settings: Settings, database_url: str) -> Iterator[Runtime]:
    """The service over the test's database."""
    with open_services(settings, database_url) as runtime:
        yield runtime


@pytest.fixture
def app(runtime: Runtime) -> WsgiApp:
    """Its application."""
    return runtime.app


@pytest.fixture
def api(app: WsgiApp) -> falcon.testing.TestClient:
    """A client that calls the application without a network."""
    return falcon.testing.TestClient(app)


@pytest.fixture
def live_server(runtime: Runtime) -> Iterator[RunningServer]:
    """The application on a real waitress and a real port."""
    with running_server(runtime.app, on_stop=runtime.release_waiters) as server:
        yield server
