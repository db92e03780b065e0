"""Fixtures of the tests of metrics."""

import pytest

from configsvc_server.app import Runtime
from configsvc_server.telemetry.metrics import Metrics


@pytest.fixture
def database_url(emptied_database_url: str) -> str:
    """A database that other tests have used: to make a new one takes longer than they do."""
    return emptied_database_url


@pytest.fixture
def metrics(runtime: Runtime) -> Metrics:
    """What the service over the test's database exports."""
    return runtime.metrics
