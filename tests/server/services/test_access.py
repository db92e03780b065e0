"""Access service: what is no token is refused by its form alone."""

from collections.abc import Iterator

import pytest

from configsvc_server.cache.responses import ResponseCache
from configsvc_server.db.database import Database
from configsvc_server.db.listener import Heartbeat
from configsvc_server.domain.access.token_secrets import new_secret
from configsvc_server.domain.errors import UnauthenticatedError
from configsvc_server.services.access import AccessService


@pytest.fixture
def access() -> Iterator[AccessService]:
    """The service over a database that does not answer."""
    database = Database("host=127.0.0.1 port=1", pool_size=1, timeout=0.1)
    yield AccessService(database, ResponseCache(max_bytes=0, heartbeat=Heartbeat()))
    database.close()


@pytest.mark.parametrize(
    "secret",
    [
        "",
        new_secret()[:-1],
        new_secret() + "0",
        new_secret()[:-1] + "-",
        "configsvc_" + "0" * 38,
        "configsvc_\ud800" + "0" * 37,
    ],
    ids=["empty", "short", "long", "character", "checksum", "surrogate"],
)
def test_a_mistyped_token_is_refused_without_the_database(
    access: AccessService, secret: str
) -> None:
    with pytest.raises(UnauthenticatedError, match="mistyped"):
        access.authenticate(secret)
