"""Fixtures of the hosts, and the table of what was measured: ``--hosts-table FILE``."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from configsvc_client import ConfigClient
from tests.hosts.report import Rows
from tests.hosts.running import Place
from tests.support.servers import RunningServer


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--hosts-table", metavar="FILE", help="write what was measured of each host as a table"
    )


def pytest_configure(config: pytest.Config) -> None:
    # The processes of pytest-xdist run the tests; only their parent hears of all.
    file = config.getoption("hosts_table", default=None)
    if file and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Rows(Path(file)))


@pytest.fixture
def configured(live_server: RunningServer) -> Iterator[Callable[[int], None]]:
    """A server with ``database`` of ``billing``; sets its ``pool_size``, which is 10 at first."""
    with ConfigClient(live_server.url) as client:
        client.applications.create(name="billing")
        database = client.configurations.create(
            "billing", name="database", config={"pool_size": 10}
        )

        def publish(size: int) -> None:
            client.configurations.update(database.id, config={"pool_size": size})

        yield publish


@pytest.fixture
def place(live_server: RunningServer, tmp_path: Path) -> Place:
    """A folder for one host, and the server for it."""
    return Place(tmp_path, live_server.url)
