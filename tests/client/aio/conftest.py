"""Fixtures of the tests of the async face."""

import gc
import threading
from collections.abc import Iterator

import pytest

from tests.client.stub import eventually


def threads() -> set[threading.Thread]:
    """The threads of clients that run now."""
    return {t for t in threading.enumerate() if t.name.startswith("configsvc ")}


@pytest.fixture(autouse=True)
def _impatient(impatient: None) -> None:
    """Failures are followed by a new attempt soon."""


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = threads()
    yield
    gc.collect()
    eventually(lambda: threads() <= before)
