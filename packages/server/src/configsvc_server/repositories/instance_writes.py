"""Writes of the fleet: a batch of what a server has seen is one statement."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.types.json import Jsonb

from configsvc_server.domain.fleet import About, Rejection

__all__ = ["REPORT", "STORE", "ReportRow", "SeenRow", "by_column"]


@dataclass(frozen=True, slots=True)
class SeenRow:
    """An instance that a server has seen; times are those of the clock of the database."""

    application_id: str
    environment: str
    about: About
    serves: str | None
    changed_at: datetime
    confirmed_at: datetime
    first_seen_at: datetime
    last_seen_at: datetime
    gone_after: int
    is_gone: bool
    address: str
    principal: str | None
    is_logged: bool
    """Whether it goes into the log."""

    @property
    def columns(self) -> tuple[object, ...]:
        """Columns, in the order of the statement."""
        about = self.about
        return (
            self.application_id,
            self.environment,
            about.id,
            about.service,
            about.version,
            about.sdk,
            about.host,
            about.processes,
            about.rejects,
            self.serves,
            self.changed_at,
            self.confirmed_at,
            self.first_seen_at,
            self.last_seen_at,
            self.gone_after,
            self.is_gone,
            self.address,
            self.principal,
            self.is_logged,
        )


@dataclass(frozen=True, slots=True)
class ReportRow:
    """What an instance has rejected."""

    application_id: str
    environment: str
    instance: str
    version: str
    rejections: Sequence[Rejection]
    reported_at: datetime
    is_logged: bool
    """Whether it goes into the log."""

    @property
    def columns(self) -> tuple[object, ...]:
        """Columns, in the order of the statement."""
        return (
            self.application_id,
            self.environment,
            self.instance,
            self.version,
            Jsonb([[r.configuration, r.pointer, r.message] for r in self.rejections]),
            self.reported_at,
            self.is_logged,
        )


STORE = b"""
    WITH taken AS (
        SELECT application_id, environment, id, service, version, sdk, host, processes, rejects,
               serves, changed_at, confirmed_at, first_seen_at, last_seen_at,
               gone_after * interval '1 second' AS gone_after, is_gone, address, principal,
               is_logged
        FROM unnest(
            %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
            %s::integer[], %s::integer[], %s::text[], %s::timestamptz[], %s::timestamptz[],
            %s::timestamptz[], %s::timestamptz[], %s::integer[], %s::boolean[], %s::text[],
            %s::text[], %s::boolean[]
        ) AS given (
            application_id, environment, id, service, version, sdk, host, processes, rejects,
            serves, changed_at, confirmed_at, first_seen_at, last_seen_at, gone_after, is_gone,
            address, principal, is_logged
        )
    ),
    known AS (
        -- What it serves since when is in the log, whichever server has seen it first.
        SELECT taken.*, last.id IS NOT NULL AS has_log, last.serves AS logged_serves,
               last.is_gone AS logged_is_gone, last.at AS logged_at, last.rejections,
               CASE WHEN last.id IS NOT NULL AND last.serves IS NOT DISTINCT FROM taken.serves
                   THEN last.since ELSE taken.changed_at END AS since,
               -- One that is gone here is not, if another server sees it.
               taken.is_gone AND NOT EXISTS (
                   SELECT FROM instances AS other
                   JOIN fleet_servers ON fleet_servers.id = other.server
                   WHERE other.application_id = taken.application_id
                       AND other.environment = taken.environment
                       AND other.id = taken.id
                       AND other.server <> %s
                       AND other.gone_at IS NULL
                       AND fleet_servers.heartbeat_at + other.gone_after >= now()
               ) AS is_gone_everywhere
        FROM taken
        LEFT JOIN LATERAL (
            SELECT id, at, serves, since, is_gone, rejections
            FROM instance_log
            WHERE instance_log.application_id = taken.application_id
                AND instance_log.environment = taken.environment
                AND instance_log.instance = taken.id
            ORDER BY at DESC, instance_log.id DESC
            LIMIT 1
        ) AS last ON true
    ),
    stored AS (
        INSERT INTO instances AS i (
            application_id, environment, id, server, service, version, sdk, host, processes,
            rejects, serves, since, first_seen_at, last_seen_at, confirmed_at, gone_after, gone_at,
            address, principal
        )
        SELECT application_id, environment, id, %s, service, version, sdk, host, processes,
               rejects, serves, since, first_seen_at, last_seen_at, confirmed_at, gone_after,
               CASE WHEN is_gone THEN now() END, address, principal
        FROM known
        ON CONFLICT ON CONSTRAINT instances_pkey DO UPDATE SET
            service = excluded.service, version = excluded.version, sdk = excluded.sdk,
            host = excluded.host, processes = excluded.processes, rejects = excluded.rejects,
            serves = excluded.serves,
            since = excluded.since,
            first_seen_at = least(i.first_seen_at, excluded.first_seen_at),
            last_seen_at = excluded.last_seen_at, confirmed_at = excluded.confirmed_at,
            gone_after = excluded.gone_after, gone_at = excluded.gone_at,
            address = excluded.address, principal = excluded.principal
    ),
    logged AS (
        INSERT INTO instance_log (
            application_id, environment, instance, at, serves, since, is_gone, rejections
        )
        SELECT application_id, environment, id,
               greatest(
                   logged_at, CASE WHEN is_gone_everywhere THEN now() ELSE changed_at END,
                   CASE WHEN logged_is_gone THEN confirmed_at END
               ),
               serves, since, is_gone_everywhere,
               CASE WHEN logged_serves IS NOT DISTINCT FROM serves THEN rejections END
        FROM known
        WHERE is_logged AND is_gone = is_gone_everywhere AND (
            NOT has_log
            OR logged_serves IS DISTINCT FROM serves
            OR logged_is_gone <> is_gone_everywhere
        )
    ),
    dropped AS (
        DELETE FROM instance_rejections AS reported USING known
        WHERE reported.application_id = known.application_id
            AND reported.environment = known.environment
            AND reported.id = known.id
            AND reported.version <> known.serves
            AND reported.reported_at < known.changed_at
    )
    SELECT pg_notify('configsvc_fleet', application_id || ' ' || environment)
    FROM (SELECT DISTINCT application_id, environment FROM taken) AS changed
"""

REPORT = b"""
    WITH given AS (
        SELECT *
        FROM unnest(
            %s::text[], %s::text[], %s::text[], %s::text[], %s::jsonb[], %s::timestamptz[],
            %s::boolean[]
        ) AS reports (
            application_id, environment, id, version, rejections, reported_at, is_logged
        )
    ),
    counted AS MATERIALIZED (
        SELECT application_id, environment, (
            SELECT count(*) FROM instance_rejections AS kept
            WHERE kept.application_id = reporting.application_id
                AND kept.environment = reporting.environment
        ) AS amount
        FROM (SELECT DISTINCT application_id, environment FROM given) AS reporting
    ),
    stored AS (
        INSERT INTO instance_rejections (
            application_id, environment, id, version, rejections, reported_at
        )
        SELECT application_id, environment, id, version, rejections, reported_at
        FROM given JOIN counted USING (application_id, environment)
        -- Whoever may read can report for ever other instances.
        WHERE counted.amount < %s OR EXISTS (
            SELECT FROM instance_rejections AS kept
            WHERE kept.application_id = given.application_id
                AND kept.environment = given.environment
                AND kept.id = given.id
        )
        ON CONFLICT ON CONSTRAINT instance_rejections_pkey DO UPDATE SET
            version = excluded.version, rejections = excluded.rejections,
            reported_at = excluded.reported_at
    ),
    logged AS (
        INSERT INTO instance_log (
            application_id, environment, instance, at, serves, since, is_gone, rejections
        )
        SELECT given.application_id, given.environment, given.id,
               greatest(given.reported_at, last.at), given.version,
               CASE WHEN last.serves = given.version
                   THEN last.since ELSE given.reported_at END,
               false, nullif(given.rejections, '[]')
        FROM given
        LEFT JOIN LATERAL (
            SELECT at, serves, since, rejections
            FROM instance_log
            WHERE instance_log.application_id = given.application_id
                AND instance_log.environment = given.environment
                AND instance_log.instance = given.id
            ORDER BY at DESC, instance_log.id DESC
            LIMIT 1
        ) AS last ON true
        WHERE is_logged AND (
            last.serves IS DISTINCT FROM given.version
            OR last.rejections IS DISTINCT FROM nullif(given.rejections, '[]')
        )
    )
    SELECT pg_notify('configsvc_fleet', application_id || ' ' || environment)
    FROM (SELECT DISTINCT application_id, environment FROM given) AS changed
"""


def by_column(rows: Sequence[SeenRow] | Sequence[ReportRow]) -> list[list[object]]:
    """Return the columns of rows, as the statements take them."""
    return [list(column) for column in zip(*(row.columns for row in rows), strict=True)]
