"""A client of a real server."""

from collections.abc import Callable

import pytest

from configsvc_client import ConfigClient, Configuration, ConfigView
from tests.client.conftest import MakeClient
from tests.support.servers import RunningServer


@pytest.fixture
def client(live_server: RunningServer, make_client: MakeClient) -> ConfigClient:
    """A client of the server in this process.

    It polls often where the server does not wait, as it does not while it hears nothing from the
    database for a moment.
    """
    return make_client(live_server.url, poll_interval=1.0)


@pytest.fixture
def database_configuration(client: ConfigClient) -> Configuration:
    """``database`` of ``billing``, with a ``pool_size`` of 10."""
    client.applications.create(name="billing")
    return client.configurations.create("billing", name="database", config={"pool_size": 10})


@pytest.fixture
def publish(client: ConfigClient, database_configuration: Configuration) -> Callable[[int], None]:
    """Sets the ``pool_size``."""

    def update(size: int) -> None:
        client.configurations.update(database_configuration.id, config={"pool_size": size})

    return update


@pytest.fixture
def app(client: ConfigClient, database_configuration: Configuration) -> ConfigView:
    """A ready view of ``billing``."""
    view = client.application("billing")
    view.wait_until_ready()
    return view
