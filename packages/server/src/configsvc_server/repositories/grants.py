"""Table ``grants``."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from psycopg.errors import ForeignKeyViolation, UniqueViolation
from psycopg.sql import SQL

from configsvc_server.db.connections import Connection
from configsvc_server.domain.access.grants import Grant, Role, Scope, StoredGrant
from configsvc_server.domain.access.tokens import ShownGrant
from configsvc_server.domain.errors import ConflictError, NotFoundError
from configsvc_server.domain.pages import Page, PageRequest
from configsvc_server.repositories.pages import Condition, count_rows, fetch_page
from configsvc_server.repositories.timing import timed

__all__ = ["GrantRepository", "within"]

_COLUMNS = "id, principal, role, application_id, environment, created_at, created_by"


@timed("grants")
class GrantRepository:
    """Reads and writes grants over one connection; writers hold the write lock."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def insert(self, grants: Sequence[StoredGrant]) -> None:
        """Add grants.

        Raises:
            ConflictError: the principal has that role there already.
            NotFoundError: an application does not exist.
        """
        for stored in grants:
            scope = stored.grant.scope
            try:
                self._connection.execute(
                    f"INSERT INTO grants ({_COLUMNS}) "  # noqa: S608
                    "VALUES (%s, %s, %s, %s, %s, %s, %s)".encode(),
                    [
                        stored.id,
                        stored.principal,
                        stored.grant.role.label,
                        scope.application_id,
                        scope.environment,
                        stored.created_at,
                        stored.created_by,
                    ],
                )
            except UniqueViolation:
                raise ConflictError(
                    entity="grant", field="principal", value=stored.principal
                ) from None
            except ForeignKeyViolation:
                raise NotFoundError("application", scope.application_id or "") from None

    def find(self, grant_id: str) -> StoredGrant | None:
        """Return one grant."""
        row = self._connection.execute(
            f"SELECT {_COLUMNS} FROM grants WHERE id = %s".encode(),  # noqa: S608
            [grant_id],
        ).fetchone()
        return None if row is None else _stored(*row)

    def all_of(self, principals: Sequence[str]) -> list[StoredGrant]:
        """Return the grants of some principals and groups."""
        rows = self._connection.execute(
            f"SELECT {_COLUMNS} FROM grants WHERE principal = ANY (%s) ORDER BY id".encode(),  # noqa: S608
            [list(principals)],
        )
        return [_stored(*row) for row in rows]

    def names_of(self, grants: Sequence[Grant]) -> list[ShownGrant]:
        """Return grants with the names of their applications."""
        ids = [grant.scope.application_id for grant in grants if grant.scope.application_id]
        names: dict[str, str] = {}
        if ids:
            names = dict(
                self._connection.execute(
                    "SELECT id, name FROM applications WHERE id = ANY (%s)", [ids]
                ).fetchall()
            )
        return [ShownGrant(grant, names.get(grant.scope.application_id or "")) for grant in grants]

    def count(self) -> int:
        """Return how many there are, besides those of tokens."""
        row = self._connection.execute(
            "SELECT count(*) FROM grants WHERE principal NOT LIKE 'token:%'"
        ).fetchone()
        return int(row[0]) if row else 0

    def delete(self, grant_id: str) -> None:
        """Remove a grant."""
        self._connection.execute("DELETE FROM grants WHERE id = %s", [grant_id])

    def delete_of(self, principal: str) -> None:
        """Remove the grants of a principal."""
        self._connection.execute("DELETE FROM grants WHERE principal = %s", [principal])

    def delete_on(self, application_id: str, environment: str) -> None:
        """Remove the grants on an environment that is deleted."""
        self._connection.execute(
            "DELETE FROM grants WHERE application_id = %s AND environment = %s",
            [application_id, environment],
        )

    def page(
        self,
        request: PageRequest,
        *,
        principal: str | None = None,
        application_id: str | None = None,
        scopes: Sequence[Scope] | None = None,
    ) -> Page[StoredGrant]:
        """Return one page of grants.

        Args:
            request: which part, in which order.
            principal: only those to this one.
            application_id: only those on this application, or an environment of it.
            scopes: only those within one of these; ``None`` for all.
        """
        conditions: list[Condition] = []
        if principal is not None:
            conditions.append((SQL("principal = %s"), [principal]))
        if application_id is not None:
            conditions.append((SQL("application_id = %s"), [application_id]))
        if scopes is not None:
            conditions.append(within(scopes))
        return fetch_page(
            self._connection,
            table="grants",
            columns=SQL(_COLUMNS),
            conditions=conditions,
            request=request,
            make=_stored,
            total=count_rows("grants", conditions),
        )


def within(scopes: Sequence[Scope]) -> Condition:
    """Return the condition that a grant is for one of some scopes, or a part of one."""
    parts = [SQL("application_id = ANY (%s)")]
    values: list[Any] = [[s.application_id for s in scopes if s.environment is None]]
    for scope in scopes:
        if scope.environment is not None:
            parts.append(SQL("(application_id = %s AND environment = %s)"))
            values += [scope.application_id, scope.environment]
    return SQL("({})").format(SQL(" OR ").join(parts)), values


def _stored(
    grant_id: str,
    principal: str,
    role: str,
    application_id: str | None,
    environment: str | None,
    created_at: datetime,
    created_by: str,
) -> StoredGrant:
    grant = Grant(Role.of(role), Scope(application_id, environment))
    return StoredGrant(grant_id, principal, grant, created_at, created_by)
