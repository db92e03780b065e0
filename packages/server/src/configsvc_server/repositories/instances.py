"""Tables of the fleet: instances, servers, reports and the log; read by the view ``fleet``."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg.sql import SQL
from psycopg.types.json import Jsonb

from configsvc_server.db.connections import Connection
from configsvc_server.domain.fleet import (
    MAX_REJECTIONS,
    About,
    Convergence,
    Instance,
    InstanceFilter,
    InstanceMoment,
    Rejection,
    RejectionCount,
)
from configsvc_server.domain.pages import Page, PageRequest
from configsvc_server.repositories.pages import Condition, count_rows, fetch_page

__all__ = ["InstanceRepository", "ReportRow", "SeenRow"]


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


_STORE = b"""
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

_REPORT = b"""
    WITH given AS (
        SELECT *
        FROM unnest(
            %s::text[], %s::text[], %s::text[], %s::text[], %s::jsonb[], %s::timestamptz[],
            %s::boolean[]
        ) AS reports (
            application_id, environment, id, version, rejections, reported_at, is_logged
        )
    ),
    stored AS (
        INSERT INTO instance_rejections (
            application_id, environment, id, version, rejections, reported_at
        )
        SELECT application_id, environment, id, version, rejections, reported_at FROM given
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

_COLUMNS = SQL(
    "instance, service, version, sdk, host, processes, serves, rejections::text, "
    "is_rejecting, is_gone, first_seen_at, last_seen_at, since, address, principal"
)

# Every moment at which what an environment serves, or how it is called, may have changed.
_MOMENTS = b"""
    SELECT created_at
    FROM (
        SELECT created_at FROM releases
        WHERE application_id = %(application_id)s AND environment = %(environment)s
        UNION
        SELECT created_at FROM environments
        WHERE application_id = %(application_id)s AND name = %(environment)s
        UNION
        SELECT created_at FROM changes
        WHERE application_id = %(application_id)s AND entity = 'application'
    ) AS moments
    WHERE created_at <= %(until)s
    ORDER BY created_at DESC
    LIMIT %(limit)s
"""


class InstanceRepository:
    """Reads and writes the fleet over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def beat(self, server: str, *, alive_for: float) -> tuple[bool, int, datetime]:
        """Record that a server is alive.

        Args:
            server: its id.
            alive_for: seconds after its heartbeat that a server counts as alive.

        Returns:
            Whether its last heartbeat was known, how many other servers are alive, and the time.
        """
        row = self._connection.execute(
            """
            WITH stored AS (
                INSERT INTO fleet_servers (id, heartbeat_at) VALUES (%s, now())
                ON CONFLICT ON CONSTRAINT fleet_servers_pkey
                DO UPDATE SET heartbeat_at = excluded.heartbeat_at
                RETURNING xmax <> 0 AS is_known
            )
            SELECT is_known, (
                SELECT count(*) FROM fleet_servers
                WHERE id <> %s AND heartbeat_at > now() - %s::interval
            ), clock_timestamp()
            FROM stored
            """,
            [server, server, timedelta(seconds=alive_for)],
        ).fetchone()
        assert row is not None  # noqa: S101 - one row is stored
        is_known, others, now = row
        return is_known, others, now

    def store(self, server: str, rows: Sequence[SeenRow]) -> None:
        """Write what a server has seen, append it to the log, and tell all servers."""
        self._connection.execute(_STORE, [*_by_column(rows), server, server])

    def report(self, rows: Sequence[ReportRow]) -> None:
        """Write what instances have rejected, instead of what they have reported before."""
        self._connection.execute(_REPORT, _by_column(rows))

    def forget(self, server: str, keys: Sequence[tuple[str, str, str]]) -> None:
        """Delete instances that a server has seen, and tell all servers."""
        self._connection.execute(
            """
            WITH deleted AS (
                DELETE FROM instances
                USING unnest(%s::text[], %s::text[], %s::text[])
                    AS given (application_id, environment, id)
                WHERE instances.application_id = given.application_id
                    AND instances.environment = given.environment
                    AND instances.id = given.id
                    AND instances.server = %s
                RETURNING instances.application_id, instances.environment
            )
            SELECT pg_notify('configsvc_fleet', application_id || ' ' || environment)
            FROM (SELECT DISTINCT application_id, environment FROM deleted) AS changed
            """,
            [*([key[index] for key in keys] for index in range(3)), server],
        )

    def page(self, request: PageRequest, wanted: InstanceFilter) -> Page[Instance]:
        """Return one page of the instances that pass a filter."""
        conditions = _of_environment(wanted.application_id, wanted.environment)
        if wanted.service is not None:
            conditions.append((SQL("service = %s"), [wanted.service]))
        match wanted.state:
            case "gone":
                conditions.append((SQL("is_gone"), []))
            case "behind":
                conditions.append(
                    (SQL("NOT is_gone AND serves IS DISTINCT FROM %s"), [wanted.current])
                )
            case "current":
                conditions.append(
                    (SQL("NOT is_gone AND serves = %s AND NOT is_rejecting"), [wanted.current])
                )
            case "rejecting":
                conditions.append(
                    (
                        SQL("NOT is_gone AND serves = %s AND is_rejecting"),
                        [wanted.current],
                    )
                )
        return fetch_page(
            self._connection,
            table="fleet",
            columns=_COLUMNS,
            conditions=conditions,
            request=request,
            make=_instance,
            total=count_rows("fleet", conditions),
        )

    def find(self, application_id: str, environment: str, instance: str) -> Instance | None:
        """Return one instance."""
        row = self._connection.execute(
            SQL(
                "SELECT {} FROM fleet "
                "WHERE application_id = %s AND environment = %s AND instance = %s"
            ).format(_COLUMNS),
            [application_id, environment, instance],
        ).fetchone()
        return None if row is None else _instance(*row)

    def convergence(
        self, application_id: str, environment: str, *, version: str, serves: str
    ) -> Convergence:
        """Count the instances that have a version.

        Args:
            application_id: the application.
            environment: its environment.
            version: tag of the snapshot that is asked for.
            serves: tag of the snapshot that the environment serves now.
        """
        row = self._connection.execute(
            """
            SELECT count(*) FILTER (WHERE NOT is_gone AND serves = %(version)s
                       AND NOT is_rejecting),
                   count(*) FILTER (WHERE NOT is_gone AND serves IS DISTINCT FROM %(version)s),
                   count(*) FILTER (WHERE NOT is_gone AND serves = %(version)s
                       AND is_rejecting),
                   count(*) FILTER (WHERE is_gone)
            FROM fleet
            WHERE application_id = %(application_id)s AND environment = %(environment)s
            """,
            {"application_id": application_id, "environment": environment, "version": version},
        ).fetchone()
        assert row is not None  # noqa: S101 - an aggregate gives one row
        reasons = self._rejections(application_id, environment, version) if row[2] else ()
        current, behind, rejecting, gone = row
        return Convergence(version, serves, current, behind, rejecting, gone, reasons)

    def at(
        self, application_id: str, environment: str, instance: str, timestamp: datetime
    ) -> InstanceMoment | None:
        """Return what an instance served at a past time; ``None`` where nothing is known of it."""
        row = self._connection.execute(
            """
            SELECT serves, since, is_gone, rejections::text FROM instance_log
            WHERE application_id = %s AND environment = %s AND instance = %s AND at <= %s
            ORDER BY at DESC, id DESC
            LIMIT 1
            """,
            [application_id, environment, instance, timestamp],
        ).fetchone()
        if row is None:
            return None
        serves, since, is_gone, rejections = row
        return InstanceMoment(serves, since, is_gone, _rejections(rejections))

    def moments(
        self, application_id: str, environment: str, until: datetime, *, limit: int
    ) -> list[datetime]:
        """Return the last times at which what an environment serves may have changed."""
        rows = self._connection.execute(
            _MOMENTS,
            {
                "application_id": application_id,
                "environment": environment,
                "until": until,
                "limit": limit,
            },
        ).fetchall()
        return [row[0] for row in rows]

    def clean(self, *, kept: float, logged: float, limit: int) -> int:
        """Delete some of what is too old, and return how many rows of the log that were.

        The last row of the log that is too old stays as long as there is the instance: it tells
        what that serves until the next one.

        Args:
            kept: seconds that instances are kept after they have gone.
            logged: seconds that the log is kept.
            limit: rows that are deleted at once.
        """
        self._connection.execute(
            """
            DELETE FROM fleet_servers
            WHERE heartbeat_at < now() - 2 * %(kept)s::interval
            """,
            {"kept": timedelta(seconds=kept)},
        )
        self._connection.execute(
            """
            DELETE FROM instances
            WHERE (application_id, environment, id, server) IN (
                SELECT application_id, environment, instances.id, server
                FROM instances
                LEFT JOIN fleet_servers ON fleet_servers.id = server
                WHERE gone_at < now() - %(kept)s::interval
                    OR coalesce(heartbeat_at + gone_after < now() - %(kept)s::interval, true)
                LIMIT %(limit)s
            )
            """,
            {"kept": timedelta(seconds=kept), "limit": limit},
        )
        self._connection.execute(
            """
            DELETE FROM instance_rejections AS reported
            WHERE reported_at < now() - interval '1 hour' AND NOT EXISTS (
                SELECT FROM instances
                WHERE instances.application_id = reported.application_id
                    AND instances.environment = reported.environment
                    AND instances.id = reported.id
            )
            """
        )
        deleted = self._connection.execute(
            """
            DELETE FROM instance_log WHERE id IN (
                SELECT id FROM instance_log AS old
                WHERE at < now() - %(logged)s::interval AND (
                    EXISTS (
                        SELECT FROM instance_log AS later
                        WHERE later.application_id = old.application_id
                            AND later.environment = old.environment
                            AND later.instance = old.instance
                            AND (later.at, later.id) > (old.at, old.id)
                            AND later.at < now() - %(logged)s::interval
                    ) OR NOT EXISTS (
                        SELECT FROM instances
                        WHERE instances.application_id = old.application_id
                            AND instances.environment = old.environment
                            AND instances.id = old.instance
                    )
                )
                ORDER BY at
                LIMIT %(limit)s
            )
            """,
            {"logged": timedelta(seconds=logged), "limit": limit},
        )
        return deleted.rowcount

    def _rejections(
        self, application_id: str, environment: str, version: str
    ) -> tuple[RejectionCount, ...]:
        rows = self._connection.execute(
            """
            SELECT rejection ->> 0, rejection ->> 1, rejection ->> 2, count(DISTINCT instance)
            FROM fleet CROSS JOIN LATERAL jsonb_array_elements(rejections) AS rejection
            WHERE application_id = %s AND environment = %s AND serves = %s AND NOT is_gone
            GROUP BY 1, 2, 3
            ORDER BY 4 DESC, 1, 2, 3
            LIMIT %s
            """,
            [application_id, environment, version, MAX_REJECTIONS],
        ).fetchall()
        return tuple(RejectionCount(Rejection(*row[:3]), row[3]) for row in rows)


def _by_column(rows: Sequence[SeenRow] | Sequence[ReportRow]) -> list[list[object]]:
    return [list(column) for column in zip(*(row.columns for row in rows), strict=True)]


def _of_environment(application_id: str, environment: str) -> list[Condition]:
    return [
        (SQL("application_id = %s"), [application_id]),
        (SQL("environment = %s"), [environment]),
    ]


def _instance(
    instance: str,
    service: str | None,
    version: str | None,
    sdk: str | None,
    host: str | None,
    processes: int,
    serves: str | None,
    rejections: str | None,
    *others: Any,
) -> Instance:
    about = About(instance, service, version, sdk, host, processes=processes)
    return Instance(about, serves, _rejections(rejections), *others)


def _rejections(text: str | None) -> tuple[Rejection, ...]:
    return () if text is None else tuple(Rejection(*item) for item in json.loads(text))
