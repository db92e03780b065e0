"""Rows of many configurations, as the service would have left them, inserted by SQL.

The acts that made them are spread over the last month. First everything is created, then each
further version comes in another order of configurations, so that the rows of one configuration
lie apart from each other, as they do where many people write. What is not as the service
does it, because nothing that is measured depends on it: a digest is of the text of the document
in PostgreSQL, not of its canonical JSON; 64 of the 80 random bits of a ULID are random; the
rows of ``configurations`` were never updated, so there are no dead ones.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import psycopg
from psycopg.types.json import Jsonb

from benchmarks.common import example_document

SERVED_VERSIONS: Final = "served_versions"
"""Table of what each environment serves now."""

ROBOT: Final = "deploy-robot"
"""Who is the author of every second act; the others are by people with few acts each."""

MONTH: Final = timedelta(days=30)
BATCHES: Final = 10
ACTS_OF_A_PERSON: Final = 50

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

_PARENTS = """
    CREATE TEMPORARY TABLE parents AS
    SELECT ordinal, moment, pg_temp.ulid(moment, 'application ' || ordinal) AS id,
           'application-' || lpad(ordinal::text, 6, '0') AS name
    FROM generate_series(0::bigint, %(applications)s - 1) AS ordinal
    CROSS JOIN LATERAL (
        SELECT %(start)s + (1 + ordinal * (1 + %(members)s)) * %(step)s AS moment
    ) AS act
"""

_MEMBERS = """
    CREATE TEMPORARY TABLE members AS
    SELECT serial, ordinal, pg_temp.ulid(moment, 'configuration ' || serial) AS id,
           'settings-' || lpad((serial %% %(members)s)::text, 4, '0') AS name
    FROM generate_series(0::bigint, %(total)s - 1) AS serial
    CROSS JOIN LATERAL (SELECT serial / %(members)s AS ordinal) AS parent
    CROSS JOIN LATERAL (SELECT %(start)s + (2 + serial + ordinal) * %(step)s AS moment) AS act
"""

# An application comes before its configurations; each later version of all in another order.
_ACTS = """
    CREATE TEMPORARY TABLE acts AS
    SELECT number, version, serial, parents.id AS application_id, members.id AS configuration_id,
           parents.name AS application, members.name AS name,
           CASE WHEN number %% 2 = 0 THEN %(robot)s
                ELSE 'person-' || lpad((number / 2 %% %(people)s)::text, 6, '0') END AS actor,
           'Tune it, step ' || version AS message,
           %(start)s + number * %(step)s AS moment
    FROM (
        SELECT 1 + ordinal * (1 + %(members)s) AS number,
               ordinal, NULL::bigint AS serial, NULL::bigint AS version
        FROM parents
        UNION ALL
        SELECT 2 + serial + ordinal, ordinal, serial, 1
        FROM members
        UNION ALL
        SELECT %(applications)s + 1 + (version - 1) * %(total)s
                   + (serial * %(stride)s + version * 31) %% %(total)s,
               ordinal, serial, version
        FROM members CROSS JOIN generate_series(2::bigint, %(revisions)s) AS version
    ) AS numbered
    JOIN parents USING (ordinal)
    LEFT JOIN members USING (serial)
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
    SELECT configuration_id, version, application_id, name,
           'Settings for one part of ' || application, config,
           encode(sha256(convert_to(config::text, 'UTF8')), 'hex'), actor, message, moment
    FROM acts
    CROSS JOIN LATERAL (
        SELECT %(document)s || jsonb_build_object(
            'serial', serial,
            'step', version,
            'owner', actor,
            'endpoint', 'https://' || name || '.' || application || '.internal/v1'
        ) AS config
    ) AS document
    WHERE number BETWEEN %(first)s AND %(last)s AND configuration_id IS NOT NULL
    ORDER BY number
"""

_RELEASES = """
    INSERT INTO releases (
        application_id, environment, configuration_id, name, version, previous_version, author,
        message, created_at
    )
    SELECT application_id, 'default', configuration_id, name, version, nullif(version - 1, 0),
           actor, message, moment
    FROM acts
    WHERE number BETWEEN %(first)s AND %(last)s AND configuration_id IS NOT NULL
    ORDER BY number
"""

_CHANGES = """
    INSERT INTO changes (
        action, entity, application_id, configuration_id, name, version, environments, actor,
        request_id, message, created_at
    )
    SELECT CASE WHEN version > 1 THEN 'update' ELSE 'create' END,
           CASE WHEN configuration_id IS NULL THEN 'application' ELSE 'configuration' END,
           application_id, configuration_id, coalesce(name, application), version,
           '{default}', actor, upper(left(md5(number::text), 26)), message, moment
    FROM acts
    WHERE number BETWEEN %(first)s AND %(last)s
    ORDER BY number
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
_SERVED = f"""
    INSERT INTO {SERVED_VERSIONS} (
        application_id, environment, configuration_id, name, version, release_id
    )
    SELECT application_id, environment, configuration_id, name, version, id
    FROM releases
    WHERE version = %(revisions)s
    ORDER BY configuration_id
"""

_BEFORE = (
    *(_ULID, _PARENTS, _MEMBERS, _ACTS, "CREATE INDEX ON acts (number)", "ANALYZE acts"),
    *(_APPLICATIONS, _ENVIRONMENTS),
)
_IN_BATCHES = (_REVISIONS, _RELEASES, _CHANGES)
_AFTER = (
    *("ANALYZE revisions, releases", _CONFIGURATIONS, _SERVED, "VACUUM (ANALYZE)"),
    # What is still to be written to disk would be written while we measure.
    "CHECKPOINT",
)


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is in a database."""

    applications: int
    members: int
    """Configurations in each application."""
    revisions: int
    """Of each configuration."""

    @property
    def total(self) -> int:
        """Configurations of all applications."""
        return self.applications * self.members

    @property
    def acts(self) -> int:
        """Changes that made all that."""
        return self.applications + self.total * self.revisions

    @property
    def people(self) -> int:
        """Authors beside the robot."""
        return max(1, self.acts // 2 // ACTS_OF_A_PERSON)


def load(url: str, size: Size, *, report: Callable[[str], None]) -> None:
    """Fill a database that has empty tables; tell ``report`` how far it is."""
    values: dict[str, Any] = {
        "applications": size.applications,
        "members": size.members,
        "revisions": size.revisions,
        "total": size.total,
        "people": size.people,
        "stride": _STRIDE,
        "start": datetime.now(UTC) - MONTH,
        "step": MONTH / (size.acts + 1),
        "robot": ROBOT,
        "document": Jsonb(example_document(0)),
    }
    # Some of the statements take no parameters from PostgreSQL's side, only as text.
    with psycopg.connect(url, autocommit=True, cursor_factory=psycopg.ClientCursor) as connection:
        # Nobody misses half a benchmark after a power cut.
        connection.execute("SET synchronous_commit = off")
        for statement in _BEFORE:
            connection.execute(statement.encode(), values)
        for batch in range(BATCHES):
            bounds = {
                "first": 1 + size.acts * batch // BATCHES,
                "last": size.acts * (batch + 1) // BATCHES,
            }
            with connection.transaction():
                for statement in _IN_BATCHES:
                    connection.execute(statement.encode(), {**values, **bounds})
            report(f"{bounds['last']:,} of {size.acts:,} changes")
        for statement in _AFTER:
            connection.execute(statement.encode(), values)


def row_counts(url: str) -> dict[str, int]:
    """Return about how many rows each table has, as PostgreSQL knew when it last looked."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT relname, reltuples::bigint FROM pg_class "
            "WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY relname"
        )
        return {str(name): int(count) for name, count in rows}
