"""The two servers that the suite runs over, and what most of its tests begin with."""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from configsvc_client import Application, ConfigClient, Configuration, ConfigView, Environment
from configsvc_client.testing import FakeConfigClient
from tests.client.contract.over_asyncio import BlockingClient

if TYPE_CHECKING:
    from tests.support.servers import RunningServer

Put = Callable[[str, Mapping[str, Any]], Configuration]
Served = Callable[[str], Mapping[str, Any]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave one test of each module over the live server to ``make quick``.

    There, the fake shows what the client does, and the tests of the server what it answers.
    """
    folder = Path(__file__).parent
    seen: set[Path] = set()
    for item in items:
        if item.path.is_relative_to(folder) and re.search(r"\[live[]-]", item.name):
            if item.path in seen:
                item.add_marker(pytest.mark.slow)
            seen.add(item.path)


@pytest.fixture(params=["fake", "live", pytest.param("asyncio", marks=pytest.mark.slow)])
def client(request: pytest.FixtureRequest, impatient: None) -> Iterator[ConfigClient]:
    """A client of the server in memory, and two of waitress over PostgreSQL, on a real port.

    The last one is the async face, with an event loop in a thread.

    A test for which it can't be both says so by :func:`live_only` or :func:`threads_only`.
    """
    if request.param == "fake":
        with FakeConfigClient() as client:
            yield client
    else:
        server: RunningServer = request.getfixturevalue("live_server")
        if request.param == "asyncio":
            with BlockingClient(server.url) as client:
                yield cast("ConfigClient", client)
            return
        with ConfigClient(server.url) as client:
            yield client


@pytest.fixture
def billing(client: ConfigClient) -> Application:
    """An application without configurations."""
    return client.applications.create(name="billing")


@pytest.fixture
def database(client: ConfigClient, billing: Application) -> Configuration:
    """``database`` of ``billing``, with a ``pool_size`` of 10."""
    return client.configurations.create(billing, name="database", config={"pool_size": 10})


@pytest.fixture
def grown(client: ConfigClient, database: Configuration) -> Configuration:
    """``database`` at version 3: its ``pool_size`` was 10, then 20, and is 30."""
    for size in (20, 30):
        database = client.configurations.update(database, config={"pool_size": size})
    return database


@pytest.fixture
def limits(client: ConfigClient, billing: Application) -> Configuration:
    """``limits`` of ``billing``."""
    config = {"n": 1, "hosts": ["a", "b"]}
    return client.configurations.create(billing, name="limits", config=config)


@pytest.fixture
def prod(client: ConfigClient, billing: Application) -> Environment:
    """A protected environment of ``billing``, which serves nothing yet."""
    return client.environments.create(billing, name="prod", protected=True)


@pytest.fixture
def app(client: ConfigClient, database: Configuration, limits: Configuration) -> ConfigView:
    """A ready view of ``database`` and ``limits``."""
    view = client.application("billing")
    view.wait_until_ready()
    return view


@pytest.fixture
def put(client: ConfigClient, billing: Application) -> Put:
    """Makes an object the whole of a configuration of ``billing``."""

    def replace(name: str, config: Mapping[str, Any]) -> Configuration:
        found = client.configurations.find(billing, name)
        return client.configurations.replace(found, name=name, config=config)

    return replace


@pytest.fixture
def served(client: ConfigClient) -> Served:
    """Tells what an environment of ``billing`` serves now."""

    def read(environment: str) -> Mapping[str, Any]:
        view = client.application("billing", environment=environment)
        view.refresh()
        return dict(view)

    return read
