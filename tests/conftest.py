"""Fixtures of both packages: a database of one's own, the app over it, a real server."""

import os
from collections.abc import Iterator
from pathlib import Path

import falcon.testing
import pytest

from configsvc_server.app import create_app
from configsvc_server.db.database import Database
from configsvc_server.db.migrations import Migrator
from configsvc_server.http.wsgi import WsgiApp
from configsvc_server.settings import Settings
from tests.support.postgres import cluster, ensure_template, fresh_database
from tests.support.servers import RunningServer, running_server


@pytest.fixture(scope="session")
def cluster_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL cluster, shared by every worker of the run."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with cluster(folder / "cluster") as url:
        yield url


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
def database_url(cluster_url: str, template: str) -> Iterator[str]:
    """A migrated database of the test's own."""
    with fresh_database(cluster_url, template=template) as url:
        yield url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An open pool over the test's database."""
    with Database(database_url, pool_size=8, timeout=5.0) as database:
        database.open()
        yield database


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The default settings, whatever the environment says."""
    return Settings.model_construct(data_dir=tmp_path)


@pytest.fixture
def app(settings: Settings, database: Database, database_url: str) -> WsgiApp:
    """The application over the test's database."""
    return create_app(settings, database, Migrator(database_url))


@pytest.fixture
def api(app: WsgiApp) -> falcon.testing.TestClient:
    """A client that calls the application without a network."""
    return falcon.testing.TestClient(app)


@pytest.fixture
def live_server(app: WsgiApp) -> Iterator[RunningServer]:
    """The application on a real waitress and a real port."""
    with running_server(app) as server:
        yield server
