"""Tables ``releases`` and ``served_versions``: what environments served, and what they serve."""

from collections.abc import Collection, Sequence
from datetime import datetime

from psycopg.sql import SQL

from configsvc_server.db.connections import Connection
from configsvc_server.domain.errors import NameServedError
from configsvc_server.domain.models import (
    Environment,
    Provenance,
    Release,
    ReleaseMove,
    ServedVersion,
)
from configsvc_server.domain.pages import Page, PageRequest
from configsvc_server.repositories.bounds import explained_bounds
from configsvc_server.repositories.pages import (
    Condition,
    conjunction,
    count_rows,
    fetch_page,
    parameters_of,
    qualified,
)
from configsvc_server.repositories.timing import timed

__all__ = ["ReleaseRepository"]

_COLUMNS = (
    "id, application_id, configuration_id, name, environment, version, previous_version, author, "
    "message, created_at"
)

_SERVED = "application_id, environment, configuration_id, name, version, release_id"


@timed("releases")
class ReleaseRepository:
    """Reads and writes releases over one connection; writers hold the write lock."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def release(
        self, moves: Sequence[ReleaseMove], provenance: Provenance, *, timestamp: datetime
    ) -> list[Release]:
        """Change what environments serve, all at once, and record it.

        Raises:
            NameServedError: two configurations would have one name in an environment.
            SnapshotTooLargeError: an environment would serve more than fits into one snapshot.
        """
        self._connection.execute(
            """
            DELETE FROM served_versions
            USING unnest(%s::text[], %s::text[]) AS gone (configuration_id, environment)
            WHERE served_versions.configuration_id = gone.configuration_id
                AND served_versions.environment = gone.environment
            """,
            [[move.configuration_id for move in moves], [move.environment for move in moves]],
        )
        self._require_free_names(moves)
        with explained_bounds():
            rows = self._connection.execute(
                f"""
                WITH released AS (
                    INSERT INTO releases (
                        application_id, environment, configuration_id, name, version,
                        previous_version, rolls_back_to, author, message, created_at
                    )
                    SELECT moves.*, %s, %s, %s
                    FROM unnest(
                        %s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[],
                        %s::bigint[], %s::bigint[]
                    ) AS moves
                    RETURNING {_COLUMNS}
                ),
                served AS (
                    INSERT INTO served_versions ({_SERVED})
                    SELECT application_id, environment, configuration_id, name, version, id
                    FROM released
                    WHERE version IS NOT NULL
                )
                SELECT {_COLUMNS} FROM released ORDER BY id
                """.encode(),  # noqa: S608
                [
                    provenance.actor,
                    provenance.message,
                    timestamp,
                    [move.application_id for move in moves],
                    [move.environment for move in moves],
                    [move.configuration_id for move in moves],
                    [move.name for move in moves],
                    [move.version for move in moves],
                    [move.previous_version for move in moves],
                    [move.rolls_back_to for move in moves],
                ],
            ).fetchall()
        return [Release(*row) for row in rows]

    def served_in_environment(self, application_id: str, environment: str) -> list[ServedVersion]:
        """Return what an environment serves now, by name."""
        return self._served(
            [
                (SQL("application_id = %s"), [application_id]),
                (SQL("environment = %s"), [environment]),
            ]
        )

    def served_of(self, configuration_id: str) -> list[ServedVersion]:
        """Return the versions of a configuration that environments serve now."""
        return self._served([(SQL("configuration_id = %s"), [configuration_id])])

    def served_under_name(
        self, application_id: str, environments: Sequence[str], name: str
    ) -> list[ServedVersion]:
        """Return what environments of an application serve under a name."""
        return self._served(
            [
                (SQL("application_id = %s"), [application_id]),
                (SQL("environment = ANY (%s)"), [list(environments)]),
                (SQL("name = %s"), [name]),
            ]
        )

    def served_in_application(self, application_id: str) -> list[ServedVersion]:
        """Return everything that the environments of an application serve now."""
        return self._served([(SQL("application_id = %s"), [application_id])])

    def latest(self, environment: Environment, configuration_id: str) -> Release | None:
        """Return the last release of a configuration since the environment was created."""
        row = self._connection.execute(
            f"""
            SELECT {_COLUMNS}
            FROM releases
            WHERE application_id = %s
                AND environment = %s
                AND configuration_id = %s
                AND created_at >= %s
            ORDER BY id DESC
            LIMIT 1
            """.encode(),  # noqa: S608
            [
                environment.application_id,
                environment.name,
                configuration_id,
                environment.created_at,
            ],
        ).fetchone()
        return None if row is None else Release(*row)

    def previous(self, environment: Environment, release: Release) -> Release | None:
        """Return the release whose version was served before a release of an environment.

        A rollback counts as the release that it has brought back: the release before a rollback is
        the one before that, so that rolling back again goes one further back.
        """
        row = self._connection.execute(
            f"""
            WITH earlier AS (
                SELECT coalesce(rolls_back_to, id) AS id
                FROM releases
                WHERE application_id = %s
                    AND environment = %s
                    AND configuration_id = %s
                    AND created_at >= %s
                    AND version IS NOT NULL
                    AND id < (SELECT coalesce(rolls_back_to, id) FROM releases WHERE id = %s)
                ORDER BY releases.id DESC
                LIMIT 1
            )
            SELECT {qualified("releases", _COLUMNS)}
            FROM earlier
            JOIN releases ON releases.id = earlier.id
            """.encode(),  # noqa: S608
            [
                environment.application_id,
                environment.name,
                release.configuration_id,
                environment.created_at,
                release.id,
            ],
        ).fetchone()
        return None if row is None else Release(*row)

    def delete_served(self, application_id: str, environment: str | None = None) -> None:
        """Remove what an environment serves, or all environments of an application.

        No release is recorded: the history of releases ends with the environment.
        """
        self._connection.execute(
            """
            DELETE FROM served_versions
            WHERE application_id = %s AND (%s::text IS NULL OR environment = %s)
            """,
            [application_id, environment, environment],
        )

    def is_known_in(
        self,
        configuration_id: str,
        application_id: str,
        environments: Collection[str],
        *,
        version: int | None = None,
    ) -> bool:
        """Return whether any of some environments serves, or has served, a configuration.

        Args:
            configuration_id: a ULID in upper case.
            application_id: its application.
            environments: their names.
            version: the version that they have to have served; ``None`` for any.
        """
        row = self._connection.execute(
            """
            SELECT EXISTS (
                SELECT FROM releases
                WHERE application_id = %s AND environment = ANY (%s) AND configuration_id = %s
                    AND (%s::bigint IS NULL OR version = %s)
            )
            """,
            [application_id, sorted(environments), configuration_id, version, version],
        ).fetchone()
        return bool(row and row[0])

    def page(
        self,
        configuration_id: str,
        request: PageRequest,
        *,
        environment: str | None = None,
        environments: Collection[str] | None = None,
        only_current: bool = False,
    ) -> Page[Release]:
        """Return one page of the releases of a configuration, in the order of their commits.

        Args:
            configuration_id: a ULID in upper case.
            request: which part, in which order.
            environment: only those to this environment.
            environments: only those to one of these; ``None`` for all.
            only_current: only those that made environments serve what they serve now.
        """
        conditions: list[Condition] = [(SQL("configuration_id = %s"), [configuration_id])]
        if environment is not None:
            conditions.append((SQL("environment = %s"), [environment]))
        if environments is not None:
            conditions.append((SQL("environment = ANY (%s)"), [sorted(environments)]))
        if only_current:
            current = "id IN (SELECT release_id FROM served_versions WHERE configuration_id = %s)"
            conditions.append((SQL(current), [configuration_id]))
        return fetch_page(
            self._connection,
            table="releases",
            columns=SQL(_COLUMNS),
            conditions=conditions,
            request=request,
            make=Release,
            total=count_rows("releases", conditions),
        )

    def current(self, configuration_id: str, environment: str) -> Release | None:
        """Return the release that made an environment serve what it serves now."""
        row = self._connection.execute(
            f"""
            SELECT {qualified("releases", _COLUMNS)}
            FROM served_versions
            JOIN releases ON releases.id = served_versions.release_id
            WHERE served_versions.configuration_id = %s
                AND served_versions.environment = %s
            """.encode(),  # noqa: S608
            [configuration_id, environment],
        ).fetchone()
        return None if row is None else Release(*row)

    def _require_free_names(self, moves: Sequence[ReleaseMove]) -> None:
        kept = [move for move in moves if move.version is not None]
        taken = self._connection.execute(
            """
            SELECT served.environment, served.name, served.configuration_id, served.version
            FROM unnest(%s::text[], %s::text[], %s::text[])
                AS wanted (application_id, environment, name)
            JOIN served_versions AS served USING (application_id, environment, name)
            ORDER BY served.name
            LIMIT 1
            """,
            [
                [move.application_id for move in kept],
                [move.environment for move in kept],
                [move.name for move in kept],
            ],
        ).fetchone()
        if taken is not None:
            raise NameServedError(*taken)

    def _served(self, conditions: Sequence[Condition]) -> list[ServedVersion]:
        rows = self._connection.execute(
            SQL("SELECT {} FROM served_versions WHERE {} ORDER BY environment, name").format(
                SQL(_SERVED), conjunction(conditions)
            ),
            parameters_of(conditions),
        )
        return [ServedVersion(*row) for row in rows]
