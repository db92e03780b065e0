"""Grant use cases: give roles to principals and groups, list and withdraw them."""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from configsvc_server.cache.responses import ResponseCache
from configsvc_server.db.database import Database
from configsvc_server.domain.access.decisions import Permission, decide
from configsvc_server.domain.access.grants import INSTALLATION, Grant, Role, Scope, StoredGrant
from configsvc_server.domain.access.principals import Principal
from configsvc_server.domain.access.tokens import MAX_GRANTS, ShownGrant
from configsvc_server.domain.errors import (
    ConflictError,
    FieldError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    StateError,
    UnavailableError,
)
from configsvc_server.domain.identifiers import is_ulid, new_ulid, normalize_ulid
from configsvc_server.domain.models import Action, Change, Provenance
from configsvc_server.domain.names import is_name
from configsvc_server.domain.pages import Page, PageRequest
from configsvc_server.repositories import Repositories
from configsvc_server.services.access import administered_scopes, require
from configsvc_server.services.grant_requests import (
    GrantRequest,
    find_grant_field,
    grant_details,
)

__all__ = ["GrantService", "ListedGrant"]

_PRINCIPAL: Final = re.compile(r"(?:group:)?[a-z0-9][a-z0-9._-]{0,63}:\S(?:.{0,510}\S)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class ListedGrant:
    """Grant with the name of its application."""

    stored: StoredGrant
    application: str | None


class GrantService:
    """Creates, lists and deletes grants."""

    def __init__(self, database: Database, cache: ResponseCache) -> None:
        """Create the service.

        Args:
            database: where they are stored.
            cache: what every write evicts before it returns.
        """
        self._database = database
        self._cache = cache

    def create(
        self, principal: str, wanted: GrantRequest, *, provenance: Provenance
    ) -> ListedGrant:
        """Give a role to a principal or group.

        Args:
            principal: ``token:ID``, ``ISSUER:NAME`` or ``group:ISSUER:NAME``.
            wanted: the role, and where.
            provenance: author, request and message.

        Raises:
            InvalidError: there is no such token, application or environment.
            ForbiddenError: the principal that asks is no admin there.
            ConflictError: it has that role there already.
            StateError: there are too many grants.
        """
        with self._database.transaction() as connection:
            store = Repositories(connection)
            grant = find_grant_field(store, provenance.principal, wanted, pointer="")
            timestamp = store.changes.acquire_write_lock()
            name = _known_principal(store, provenance.principal, principal)
            if store.grants.count() >= MAX_GRANTS:
                message = f"There are at most {MAX_GRANTS} grants. Withdraw some first."
                raise StateError("too-many-grants", message)
            if any(known.grant == grant for known in store.grants.all_of([name])):
                raise ConflictError(entity="grant", field="principal", value=principal)
            stored = StoredGrant(new_ulid(), name, grant, timestamp, provenance.actor)
            store.grants.insert([stored])
            (shown,) = store.grants.names_of([grant])
            store.changes.append(
                [_change("create", stored, shown, provenance)], timestamp=timestamp
            )
        self._cache.evict_access()
        return ListedGrant(stored, shown.application)

    def list(
        self,
        principal: Principal,
        request: PageRequest,
        *,
        of: str | None = None,
        application_id: str | None = None,
    ) -> Page[ListedGrant]:
        """Return one page of the grants that a principal administers.

        Args:
            principal: who asks.
            request: which part, in which order.
            of: only those to this principal or group.
            application_id: only those on this application, or an environment of it.
        """
        with self._database.autocommit() as connection:
            store = Repositories(connection)
            page = store.grants.page(
                request,
                principal=of,
                application_id=application_id,
                scopes=administered_scopes(principal),
            )
            shown = store.grants.names_of([stored.grant for stored in page.items])
        return page.of(
            [
                ListedGrant(stored, name.application)
                for stored, name in zip(page.items, shown, strict=True)
            ]
        )

    def delete(self, grant_id: str, *, provenance: Provenance) -> None:
        """Withdraw a grant.

        Raises:
            NotFoundError: there is none, or it is not for the principal to see.
        """
        with self._database.transaction() as connection:
            store = Repositories(connection)
            timestamp = store.changes.acquire_write_lock()
            stored = store.grants.find(normalize_ulid(grant_id)) if is_ulid(grant_id) else None
            missing = NotFoundError("grant", grant_id)
            if stored is None:
                raise missing
            scope = stored.grant.scope
            if not decide(provenance.principal, Permission.ADMINISTER_ACCESS, scope).is_allowed:
                raise missing
            store.grants.delete(stored.id)
            (shown,) = store.grants.names_of([stored.grant])
            store.changes.append(
                [_change("delete", stored, shown, provenance)], timestamp=timestamp
            )
        self._cache.evict_access()

    def describe(self, principal: Principal) -> Sequence[ShownGrant]:
        """Return the grants of a principal with the names of their applications."""
        if all(grant.scope == INSTALLATION for grant in principal.grants):
            return [ShownGrant(grant, None) for grant in principal.grants]
        with self._database.autocommit() as connection:
            return Repositories(connection).grants.names_of(principal.grants)

    def name_application(self, error: ForbiddenError, principal: Principal) -> ForbiddenError:
        """Return a refusal with the name of its application, whatever the caller called it.

        Args:
            error: the refusal.
            principal: who was refused; what one may not read is not named.
        """
        application_id = error.application_id
        if application_id is None or not principal.access.reads_part_of(application_id):
            return error
        # A refusal is one also while the database is away.
        with suppress(UnavailableError), self._database.autocommit() as connection:
            grant = Grant(Role.READER, Scope(application_id))
            (shown,) = Repositories(connection).grants.names_of([grant])
            if shown.application is not None:
                return error.naming(shown.application)
        return error


def _known_principal(store: Repositories, caller: Principal, principal: str) -> str:
    pointer = "/principal"
    if not (_PRINCIPAL.fullmatch(principal) and is_name(principal)):
        message = "must be token:ID, ISSUER:NAME or group:ISSUER:NAME"
        raise InvalidError([FieldError(pointer, message)])
    kind, _, rest = principal.partition(":")
    if kind in {"anonymous", "operator"}:
        message = f"can't be {kind}: it has no grants of its own"
        raise InvalidError([FieldError(pointer, message)])
    if kind != "token":
        return principal
    token = store.tokens.find(normalize_ulid(rest)) if is_ulid(rest) else None
    if token is None:
        raise InvalidError([FieldError(pointer, "must be token:ID with the id of a token")])
    for stored in store.grants.all_of([token.principal]):
        # Otherwise an admin of one application could find out the tokens of others.
        require(
            caller,
            Permission.ADMINISTER_ACCESS,
            stored.grant.scope,
            hidden=InvalidError([FieldError(pointer, "must be token:ID with the id of a token")]),
        )
    return token.principal


def _change(
    action: Action, stored: StoredGrant, shown: ShownGrant, provenance: Provenance
) -> Change:
    scope = stored.grant.scope
    return Change(
        action,
        "grant",
        scope.application_id,
        None,
        stored.principal,
        None,
        provenance,
        details=grant_details(stored.principal, [shown]),
    )
