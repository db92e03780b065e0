"""Fixtures of the samples: a server with configurations, and a place to run one."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from configsvc_client import ConfigClient
from tests.hosts.running import Place
from tests.support.servers import RunningServer

Configure = Callable[[str, Mapping[str, object]], None]
"""Creates a configuration of ``billing``, or changes members of it."""


@pytest.fixture
def configure(live_server: RunningServer) -> Iterator[Configure]:
    with ConfigClient(live_server.url) as client:
        client.applications.create(name="billing")
        known: dict[str, str] = {}

        def configure(name: str, config: Mapping[str, object]) -> None:
            if name in known:
                client.configurations.update(known[name], config=config)
            else:
                made = client.configurations.create("billing", name=name, config=config)
                known[name] = made.id

        yield configure


@pytest.fixture
def place(live_server: RunningServer, tmp_path: Path) -> Place:
    """A folder for one sample, and the server for it."""
    return Place(tmp_path, live_server.url)
