"""The tables ``releases`` and ``release_pointers``: what environments serve, and served."""

from collections.abc import Sequence
from datetime import datetime

from psycopg.sql import SQL

from configsvc_server.db.database import Connection
from configsvc_server.domain.errors import NameServedError
from configsvc_server.domain.models import Environment, Move, Pointer, Provenance, Release
from configsvc_server.domain.pages import NumberedPage, NumberedRequest
from configsvc_server.repositories.numbered import fetch_numbered
from configsvc_server.repositories.paging import Filter, conjunction

__all__ = ["ReleaseRepository"]

_COLUMNS = (
    "id, application_id, configuration_id, name, environment, version, previous_version, author, "
    "message, created_at"
)

_POINTER = "application_id, environment, configuration_id, name, version, release_id"


class ReleaseRepository:
    """Reads and writes releases over one connection; writers have their turn."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def move(
        self, moves: Sequence[Move], provenance: Provenance, *, moment: datetime
    ) -> list[Release]:
        """Move pointers, all at once, and remember it.

        Raises:
            NameServedError: two configurations would have one name in an environment.
        """
        self._connection.execute(
            """
            DELETE FROM release_pointers
            USING unnest(%s::text[], %s::text[]) AS gone (configuration_id, environment)
            WHERE release_pointers.configuration_id = gone.configuration_id
                AND release_pointers.environment = gone.environment
            """,
            [[move.configuration_id for move in moves], [move.environment for move in moves]],
        )
        self._require_free_names(moves)
        rows = self._connection.execute(
            f"""
            WITH released AS (
                INSERT INTO releases (
                    application_id, environment, configuration_id, name, version,
                    previous_version, restores, author, message, created_at
                )
                SELECT moves.*, %s, %s, %s
                FROM unnest(
                    %s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[],
                    %s::bigint[], %s::bigint[]
                ) AS moves
                RETURNING {_COLUMNS}
            ),
            pointed AS (
                INSERT INTO release_pointers ({_POINTER})
                SELECT application_id, environment, configuration_id, name, version, id
                FROM released
                WHERE version IS NOT NULL
            )
            SELECT {_COLUMNS} FROM released ORDER BY id
            """.encode(),  # noqa: S608
            [
                provenance.actor,
                provenance.message,
                moment,
                [move.application_id for move in moves],
                [move.environment for move in moves],
                [move.configuration_id for move in moves],
                [move.name for move in moves],
                [move.version for move in moves],
                [move.previous_version for move in moves],
                [move.restores for move in moves],
            ],
        ).fetchall()
        return [Release(*row) for row in rows]

    def served_by(self, application_id: str, environment: str) -> list[Pointer]:
        """Return what an environment serves now, by name."""
        return self._pointers(
            [
                (SQL("application_id = %s"), [application_id]),
                (SQL("environment = %s"), [environment]),
            ]
        )

    def served_of(self, configuration_id: str) -> list[Pointer]:
        """Return which environments serve a configuration now."""
        return self._pointers([(SQL("configuration_id = %s"), [configuration_id])])

    def served_as(
        self, application_id: str, environments: Sequence[str], name: str
    ) -> list[Pointer]:
        """Return what environments of an application serve under a name."""
        return self._pointers(
            [
                (SQL("application_id = %s"), [application_id]),
                (SQL("environment = ANY (%s)"), [list(environments)]),
                (SQL("name = %s"), [name]),
            ]
        )

    def served_in(self, application_id: str) -> list[Pointer]:
        """Return everything that the environments of an application serve now."""
        return self._pointers([(SQL("application_id = %s"), [application_id])])

    def latest(self, environment: Environment, configuration_id: str) -> Release | None:
        """Return the last release of a configuration to an environment as it is now."""
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

    def before(self, environment: Environment, release: Release) -> Release | None:
        """Return the last release of a version before a release of an environment.

        Before one that has brought back an earlier release, it is the one before that; and
        for one that has been brought back, it is that one.
        """
        row = self._connection.execute(
            f"""
            WITH earlier AS (
                SELECT coalesce(restores, id) AS id
                FROM releases
                WHERE application_id = %s
                    AND environment = %s
                    AND configuration_id = %s
                    AND created_at >= %s
                    AND version IS NOT NULL
                    AND id < (SELECT coalesce(restores, id) FROM releases WHERE id = %s)
                ORDER BY releases.id DESC
                LIMIT 1
            )
            SELECT {", ".join(f"releases.{column}" for column in _COLUMNS.split(", "))}
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

    def forget(self, application_id: str, environment: str | None = None) -> None:
        """Remove the pointers of an environment, or of all of an application.

        Nothing is added to the history of releases: that ends with the environment.
        """
        self._connection.execute(
            """
            DELETE FROM release_pointers
            WHERE application_id = %s AND (%s::text IS NULL OR environment = %s)
            """,
            [application_id, environment, environment],
        )

    def page(
        self, configuration_id: str, request: NumberedRequest, *, environment: str | None = None
    ) -> NumberedPage[Release]:
        """Return releases of a configuration, in the order of their commits or back."""
        return fetch_numbered(
            self._connection,
            table="releases",
            columns=SQL(_COLUMNS),
            number="id",
            filters=_of(configuration_id, environment),
            request=request,
            make=lambda row: Release(*row),
        )

    def count(self, configuration_id: str, *, environment: str | None = None) -> int:
        """Return how many releases of a configuration there are."""
        filters = _of(configuration_id, environment)
        row = self._connection.execute(
            SQL("SELECT count(*) FROM releases WHERE {}").format(
                conjunction([condition for condition, _ in filters])
            ),
            [value for _, values in filters for value in values],
        ).fetchone()
        return int(row[0]) if row else 0

    def current_of(self, configuration_id: str) -> list[Release]:
        """Return the releases that made environments serve what they serve now."""
        rows = self._connection.execute(
            f"""
            SELECT {", ".join(f"releases.{column}" for column in _COLUMNS.split(", "))}
            FROM release_pointers
            JOIN releases ON releases.id = release_pointers.release_id
            WHERE release_pointers.configuration_id = %s
            ORDER BY releases.id
            """.encode(),  # noqa: S608
            [configuration_id],
        )
        return [Release(*row) for row in rows]

    def _require_free_names(self, moves: Sequence[Move]) -> None:
        kept = [move for move in moves if move.version is not None]
        taken = self._connection.execute(
            """
            SELECT pointer.environment, pointer.name, pointer.configuration_id, pointer.version
            FROM unnest(%s::text[], %s::text[], %s::text[])
                AS wanted (application_id, environment, name)
            JOIN release_pointers AS pointer USING (application_id, environment, name)
            ORDER BY pointer.name
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

    def _pointers(self, filters: Sequence[Filter]) -> list[Pointer]:
        rows = self._connection.execute(
            SQL("SELECT {} FROM release_pointers WHERE {} ORDER BY environment, name").format(
                SQL(_POINTER), conjunction([condition for condition, _ in filters])
            ),
            [value for _, values in filters for value in values],
        )
        return [Pointer(*row) for row in rows]


def _of(configuration_id: str, environment: str | None) -> list[Filter]:
    filters: list[Filter] = [(SQL("configuration_id = %s"), [configuration_id])]
    if environment is not None:
        filters.append((SQL("environment = %s"), [environment]))
    return filters
