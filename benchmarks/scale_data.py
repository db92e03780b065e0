"""Fill a database with many configurations, as the service would have left it.

The acts that made them are spread over the last month. First everything is created, then each
further version comes in another order of configurations, so that the rows of one configuration
lie apart from each other, as they do where many people write. What is not as the service
does it, because nothing that is measured depends on it:

- a digest is the SHA-256 of the text that PostgreSQL gives the document, not of its canonical
  JSON, so that it can be made in SQL;
- of the 80 random bits of a ULID 64 are random;
- the rows of ``configurations`` were never updated, so there are no dead ones.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import psycopg
from http_load import example_document
from psycopg.sql import SQL, Identifier
from psycopg.types.json import Jsonb
from psycopg.types.numeric import Int8

from configsvc_server.db.migrations import Migrator

MONTH: Final = timedelta(days=30)
BATCHES: Final = 20
ACTS_OF_A_PERSON: Final = 50
ROBOT: Final = "deploy-robot"
"""Who is the author of every second act; the others are by people with few acts each."""

# A prime beyond any number of configurations: its multiples visit each of them once.
_STRIDE: Final = 2**31 - 1

_ULID = """
    CREATE FUNCTION pg_temp.ulid(moment timestamptz, seed text) RETURNS text
    LANGUAGE sql IMMUTABLE AS $$
        SELECT string_agg(
                   substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', (ms >> shift & 31)::integer + 1, 1),
                   '' ORDER BY shift DESC
               ) || upper(left(md5(seed), 16))
        FROM generate_series(0, 45, 5) AS shift
        CROSS JOIN (SELECT floor(extract(epoch FROM moment) * 1000)::bigint AS ms) AS clock
    $$
"""

_SCRATCH = """
    CREATE TEMPORARY TABLE parents (
        ordinal bigint PRIMARY KEY, id text, name text, moment timestamptz
    );
    CREATE TEMPORARY TABLE members (
        serial bigint PRIMARY KEY, ordinal bigint, id text, name text
    );
    CREATE TEMPORARY TABLE acts (
        number bigint, ordinal bigint, serial bigint, version bigint, actor text,
        moment timestamptz
    )
"""

_PARENTS = """
    INSERT INTO parents (ordinal, id, name, moment)
    SELECT ordinal, pg_temp.ulid(moment, 'application ' || ordinal),
           'application-' || lpad(ordinal::text, 6, '0'), moment
    FROM generate_series(0, %(applications)s - 1) AS ordinal
    CROSS JOIN LATERAL (
        SELECT %(start)s + (1 + ordinal * (1 + %(configurations)s)) * %(step)s AS moment
    ) AS act
"""

_MEMBERS = """
    INSERT INTO members (serial, ordinal, id, name)
    SELECT serial, ordinal, pg_temp.ulid(moment, 'configuration ' || serial),
           'settings-' || lpad((serial %% %(configurations)s)::text, 4, '0')
    FROM generate_series(0, %(applications)s * %(configurations)s - 1) AS serial
    CROSS JOIN LATERAL (SELECT serial / %(configurations)s AS ordinal) AS parent
    CROSS JOIN LATERAL (
        SELECT %(start)s + (2 + serial + ordinal) * %(step)s AS moment
    ) AS act
"""

# An application comes before its configurations; each later version of all in another order.
_ACTS = """
    INSERT INTO acts (number, ordinal, serial, version, actor, moment)
    SELECT number, ordinal, serial, version,
           CASE WHEN number %% 2 = 0 THEN %(robot)s
                ELSE 'person-' || lpad((number / 2 %% %(people)s)::text, 6, '0') END,
           %(start)s + number * %(step)s
    FROM (
        SELECT 1 + ordinal * (1 + %(configurations)s) AS number,
               ordinal, NULL::bigint AS serial, NULL::bigint AS version
        FROM parents
        UNION ALL
        SELECT 2 + serial + ordinal, ordinal, serial, 1
        FROM members
        UNION ALL
        SELECT %(applications)s + 1 + (version - 1) * %(total)s
                   + (serial * %(stride)s + version * 31) %% %(total)s,
               ordinal, serial, version
        FROM members CROSS JOIN generate_series(2, %(revisions)s) AS version
    ) AS numbered
    ORDER BY number
"""

_APPLICATIONS = """
    INSERT INTO applications (id, name, comments, created_at, updated_at)
    SELECT id, name, 'What ' || name || ' needs to know', moment, moment
    FROM parents
    ORDER BY ordinal
"""

_ENVIRONMENTS = """
    INSERT INTO environments (
        application_id, name, position, auto_release, protected, created_at, updated_at
    )
    SELECT id, 'default', 0, true, false, moment, moment
    FROM parents
    ORDER BY ordinal
"""

_REVISIONS = """
    INSERT INTO revisions (
        configuration_id, version, application_id, name, comments, config, digest, author,
        message, created_at
    )
    SELECT members.id, acts.version, parents.id, members.name,
           'Settings for one part of ' || parents.name, config,
           encode(sha256(convert_to(config::text, 'UTF8')), 'hex'), acts.actor,
           'Tune it, step ' || acts.version, acts.moment
    FROM acts
    JOIN members ON members.serial = acts.serial
    JOIN parents ON parents.ordinal = acts.ordinal
    CROSS JOIN LATERAL (
        SELECT %(document)s || jsonb_build_object(
            'serial', members.serial,
            'step', acts.version,
            'owner', acts.actor,
            'endpoint', 'https://' || members.name || '.' || parents.name || '.internal/v1'
        ) AS config
    ) AS document
    WHERE acts.number BETWEEN %(first)s AND %(last)s
    ORDER BY acts.number
"""

_RELEASES = """
    INSERT INTO releases (
        application_id, environment, configuration_id, name, version, previous_version, author,
        message, created_at
    )
    SELECT parents.id, 'default', members.id, members.name, acts.version,
           nullif(acts.version - 1, 0), acts.actor, 'Tune it, step ' || acts.version, acts.moment
    FROM acts
    JOIN members ON members.serial = acts.serial
    JOIN parents ON parents.ordinal = acts.ordinal
    WHERE acts.number BETWEEN %(first)s AND %(last)s
    ORDER BY acts.number
"""

_CHANGES = """
    INSERT INTO changes (
        action, entity, application_id, configuration_id, name, version, environments, actor,
        request_id, message, created_at
    )
    SELECT CASE WHEN coalesce(acts.version, 1) = 1 THEN 'create' ELSE 'update' END,
           CASE WHEN acts.serial IS NULL THEN 'application' ELSE 'configuration' END,
           parents.id, members.id, coalesce(members.name, parents.name), acts.version,
           '{default}', acts.actor, upper(left(md5(acts.number::text), 26)),
           'Tune it, step ' || acts.version, acts.moment
    FROM acts
    JOIN parents ON parents.ordinal = acts.ordinal
    LEFT JOIN members ON members.serial = acts.serial
    WHERE acts.number BETWEEN %(first)s AND %(last)s
    ORDER BY acts.number
"""

_CONFIGURATIONS = """
    INSERT INTO configurations (
        id, application_id, name, comments, config, version, created_at, updated_at, updated_by
    )
    SELECT newest.configuration_id, newest.application_id, newest.name, newest.comments,
           newest.config, newest.version, first.created_at, newest.created_at, newest.author
    FROM revisions AS newest
    JOIN revisions AS first
        ON first.configuration_id = newest.configuration_id AND first.version = 1
    WHERE newest.version = %(revisions)s
    ORDER BY newest.configuration_id
"""

# The service updates these rows, and most often PostgreSQL keeps the new one on the page of the
# old: they stay about where they were made.
_POINTERS = """
    INSERT INTO release_pointers (
        application_id, environment, configuration_id, name, version, release_id
    )
    SELECT application_id, environment, configuration_id, name, version, id
    FROM releases
    WHERE version = %(revisions)s
    ORDER BY configuration_id
"""


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is in a database."""

    applications: int
    configurations: int
    """In each application."""
    revisions: int
    """Of each configuration."""

    @property
    def total(self) -> int:
        """Configurations of all applications."""
        return self.applications * self.configurations

    @property
    def acts(self) -> int:
        """Changes that made all that."""
        return self.applications + self.total * self.revisions


@dataclass(frozen=True, slots=True)
class Loaded:
    """What loading gave."""

    seconds: float
    rows: Mapping[str, int]
    bytes: int


def load(url: str, size: Size, *, report: Callable[[str], None]) -> Loaded:
    """Make the tables in an empty database and fill them.

    Args:
        url: the database.
        size: how much is to be in it.
        report: told how far it is.
    """
    started = time.monotonic()
    Migrator(url).up()
    with psycopg.connect(url, autocommit=True) as connection:
        # Nobody misses half a benchmark after a power cut.
        connection.execute("SET synchronous_commit = off")
        _fill(connection, size, report)
        report("VACUUM ANALYZE")
        connection.execute("VACUUM (ANALYZE)")
        # What is still to be written to disk would be written while we measure.
        connection.execute("CHECKPOINT")
        seconds = time.monotonic() - started
        found = connection.execute("SELECT pg_database_size(current_database())").fetchone()
        assert found is not None
        return Loaded(seconds, _exact_counts(connection), int(found[0]))


def _exact_counts(connection: psycopg.Connection[Any]) -> dict[str, int]:
    counts = {}
    for table in row_counts(connection):
        row = connection.execute(
            SQL("SELECT count(*) FROM {}").format(Identifier(table))
        ).fetchone()
        counts[table] = int(row[0]) if row else 0
    return counts


def row_counts(connection: psycopg.Connection[Any]) -> dict[str, int]:
    """Return about how many rows each table has, as PostgreSQL knew when it last looked."""
    rows = connection.execute(
        "SELECT relname, reltuples::bigint FROM pg_class "
        "WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY relname"
    )
    return {str(name): int(count) for name, count in rows}


def _fill(connection: psycopg.Connection[Any], size: Size, report: Callable[[str], None]) -> None:
    start = datetime.now(UTC) - MONTH
    numbers = {
        "applications": size.applications,
        "configurations": size.configurations,
        "revisions": size.revisions,
        "total": size.total,
        "stride": _STRIDE,
        "people": max(1, size.acts // 2 // ACTS_OF_A_PERSON),
    }
    values: dict[str, Any] = {
        # psycopg sends a small number as smallint, and SQL would reckon in that.
        **{name: Int8(number) for name, number in numbers.items()},
        "start": start,
        "step": MONTH / (size.acts + 1),
        "robot": ROBOT,
        "document": Jsonb(example_document(0)),
    }
    report(f"{size.applications:,} applications x {size.configurations} x {size.revisions}")
    connection.execute(_ULID)
    connection.execute(_SCRATCH)
    for statement in (_PARENTS, _MEMBERS, _ACTS):
        connection.execute(statement.encode(), values)
    connection.execute("CREATE INDEX ON acts (number)")
    connection.execute("ANALYZE parents, members, acts")
    for statement in (_APPLICATIONS, _ENVIRONMENTS):
        connection.execute(statement.encode(), values)
    for batch in range(BATCHES):
        first = 1 + size.acts * batch // BATCHES
        last = size.acts * (batch + 1) // BATCHES
        bounds = {**values, "first": Int8(first), "last": Int8(last)}
        with connection.transaction():
            for statement in (_REVISIONS, _RELEASES, _CHANGES):
                connection.execute(statement.encode(), bounds)
        report(f"{last:,} of {size.acts:,} changes")
    connection.execute("ANALYZE revisions, releases")
    for statement in (_CONFIGURATIONS, _POINTERS):
        connection.execute(statement.encode(), values)
