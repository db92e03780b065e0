"""Reading for all applications: a view that is used at import, before any fork."""

import os
from collections.abc import Callable

from tests.hosts.applications.answers import Database, answer_of

__all__ = ["answer"]


def _reader() -> Callable[[], tuple[int, int]]:
    from configsvc_client import ConfigClient

    app = ConfigClient().application("billing")
    bound = app.bind("database", Database)
    return lambda: (app["database"]["pool_size"], bound.value.pool_size)


# For comparison, the same application runs without the client, too.
read = _reader() if "CONFIGSVC_URL" in os.environ else lambda: (10, 10)
read()


def answer() -> str:
    """Return what is read now, as the tests parse it."""
    return answer_of(*read())
