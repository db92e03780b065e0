"""API tokens: the one of the first start."""

from concurrent.futures import ThreadPoolExecutor

import psycopg

from configsvc_server.cache.responses import ResponseCache
from configsvc_server.db.database import Database
from configsvc_server.db.listener import Heartbeat
from configsvc_server.domain.access.principals import operator
from configsvc_server.domain.models import Provenance
from configsvc_server.services.tokens import CreatedToken, TokenService
from tests.support.postgres import wait_for_lock


def create_first(database_url: str) -> CreatedToken | None:
    """Do as a server that starts does, over connections of its own."""
    principal = operator("root@test")
    with Database(database_url, pool_size=1) as database:
        database.open()
        cache = ResponseCache(max_bytes=0, heartbeat=Heartbeat())
        return TokenService(database, cache).create_first(
            Provenance(principal.name, principal=principal)
        )


def test_two_servers_that_start_first_make_one_token(new_database_url: str) -> None:
    with (
        ThreadPoolExecutor(2) as pool,
        psycopg.connect(new_database_url) as connection,
    ):
        connection.execute("SELECT configsvc_acquire_write_lock(NULL, NULL, NULL)")
        servers = [pool.submit(create_first, new_database_url) for _ in range(2)]
        # Each of them has seen by now that there is no administrator.
        wait_for_lock(new_database_url, waiting=2)
        connection.rollback()
        made = [server.result(30) for server in servers]

    assert sum(token is not None for token in made) == 1
    with psycopg.connect(new_database_url) as connection:
        assert connection.execute("SELECT count(*) FROM tokens").fetchone() == (1,)
