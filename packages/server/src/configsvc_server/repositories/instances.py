"""Tables of the fleet: instances, servers, reports and the log; read by the view ``fleet``."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from psycopg.sql import SQL

from configsvc_server.db.connections import Connection
from configsvc_server.domain.fleet import (
    MAX_REJECTIONS,
    About,
    Convergence,
    FleetCount,
    Instance,
    InstanceFilter,
    InstanceMoment,
    Rejection,
    RejectionCount,
)
from configsvc_server.domain.pages import Page, PageRequest
from configsvc_server.repositories.instance_writes import (
    REPORT,
    STORE,
    ReportRow,
    SeenRow,
    by_column,
)
from configsvc_server.repositories.pages import Condition, count_rows, fetch_page
from configsvc_server.repositories.timing import timed

__all__ = ["InstanceRepository"]


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


@timed("instances")
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
        self._connection.execute(STORE, [*by_column(rows), server, server])

    def report(self, rows: Sequence[ReportRow], *, limit: int) -> None:
        """Write what instances have rejected, instead of what they have reported before.

        Args:
            rows: the reports.
            limit: reports of an environment from which on none of further instances is written.
        """
        self._connection.execute(REPORT, [*by_column(rows), limit])

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

    def census(self, *, limit: int) -> list[FleetCount]:
        """Count the instances of the environments that have the most of them.

        Args:
            limit: how many environments.
        """
        rows = self._connection.execute(
            """
            SELECT counted.application_id, applications.name, counted.environment, counted.serves,
                   counted.is_rejecting, counted.is_gone, counted.amount
            FROM (
                SELECT grouped.*, dense_rank() OVER (
                    ORDER BY grouped.total DESC, grouped.application_id, grouped.environment
                ) AS place
                FROM (
                    SELECT application_id, environment, serves, is_rejecting, is_gone,
                           count(*) AS amount,
                           sum(count(*)) OVER (PARTITION BY application_id, environment) AS total
                    FROM fleet
                    GROUP BY application_id, environment, serves, is_rejecting, is_gone
                ) AS grouped
            ) AS counted
            JOIN applications ON applications.id = counted.application_id
            WHERE counted.place <= %s
            """,
            [limit],
        ).fetchall()
        return [FleetCount(*row) for row in rows]

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
