"""Grants: a role, and the part of the installation that it is for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Final, Self, TypeAlias

__all__ = [
    "EVERYTHING",
    "INSTALLATION",
    "NO_ACCESS",
    "Access",
    "Grant",
    "Role",
    "Scope",
    "StoredGrant",
]


class Role(IntEnum):
    """What somebody may do; each role may do everything that the ones before it may."""

    READER = 1
    """Reads snapshots, configurations and history."""
    EDITOR = 2
    """Writes configurations, and thereby what environments serve that release at once."""
    RELEASER = 3
    """Changes what environments serve, protected ones too."""
    ADMIN = 4
    """Administers grants, tokens and environments, and deletes applications."""

    @property
    def label(self) -> str:
        """The name of the role, as the API has it."""
        return self.name.lower()

    @classmethod
    def of(cls, label: str) -> Self:
        """Return the role of this name.

        Raises:
            KeyError: there is none.
        """
        return cls[label.upper()]


@dataclass(frozen=True, slots=True)
class Scope:
    """Part of the installation: all of it, one application, or one environment of that."""

    application_id: str | None = None
    environment: str | None = None
    """Needs ``application_id``."""


INSTALLATION: Final = Scope()
"""Everything."""


@dataclass(frozen=True, slots=True)
class Grant:
    """Role on a scope."""

    role: Role
    scope: Scope = INSTALLATION


@dataclass(frozen=True, slots=True)
class StoredGrant:
    """Grant to a principal or group, as it is kept."""

    id: str
    principal: str
    """Whom it is for: ``token:ID``, ``ISSUER:NAME`` or ``group:ISSUER:NAME``."""
    grant: Grant
    created_at: datetime
    created_by: str


_Roles: TypeAlias = tuple[tuple[str, Role], ...]


@dataclass(frozen=True, slots=True)
class Access:
    """Everything that the grants of one principal give; empty for nothing."""

    installation: Role | None = None
    """The role on everything."""
    applications: _Roles = ()
    """The roles on single applications, by their ids in order."""
    environments: tuple[tuple[str, _Roles], ...] = ()
    """The roles on single environments, by application and name in order."""
    _by_application: Mapping[str, Role] = field(default_factory=dict, compare=False, repr=False)
    _by_environment: Mapping[tuple[str, str], Role] = field(
        default_factory=dict, compare=False, repr=False
    )
    _seen: frozenset[str] = field(default=frozenset(), compare=False, repr=False)

    @classmethod
    def of(cls, grants: Sequence[Grant]) -> Self:
        """Return what all of ``grants`` give together."""
        installation: Role | None = None
        by_application: dict[str, Role] = {}
        by_environment: dict[tuple[str, str], Role] = {}
        for grant in grants:
            application_id, environment = grant.scope.application_id, grant.scope.environment
            if application_id is None:
                installation = max(grant.role, installation or grant.role)
            elif environment is None:
                known = by_application.get(application_id, grant.role)
                by_application[application_id] = max(grant.role, known)
            else:
                key = (application_id, environment)
                by_environment[key] = max(grant.role, by_environment.get(key, grant.role))
        nested: dict[str, list[tuple[str, Role]]] = {}
        for (application_id, environment), role in sorted(by_environment.items()):
            nested.setdefault(application_id, []).append((environment, role))
        return cls(
            installation,
            tuple(sorted(by_application.items())),
            tuple((application_id, tuple(roles)) for application_id, roles in nested.items()),
            by_application,
            by_environment,
            frozenset(by_application) | frozenset(nested),
        )

    @property
    def reads_everything(self) -> bool:
        """Whether there is nothing that it does not let read."""
        return self.installation is not None

    def role_on(self, scope: Scope) -> Role | None:
        """Return the highest role on the whole of a scope; ``None`` for none."""
        role = self.installation
        if scope.application_id is not None:
            role = _higher(role, self._by_application.get(scope.application_id))
            if scope.environment is not None:
                key = (scope.application_id, scope.environment)
                role = _higher(role, self._by_environment.get(key))
        return role

    def reads_part_of(self, application_id: str) -> bool:
        """Return whether it lets read an application, or at least one environment of it."""
        return self.installation is not None or application_id in self._seen

    def readable_environments(self, application_id: str) -> frozenset[str] | None:
        """Return the names of the environments that it lets read; ``None`` for all of them."""
        if self.role_on(Scope(application_id)) is not None:
            return None
        return frozenset(
            environment for owner, environment in self._by_environment if owner == application_id
        )


EVERYTHING: Final = Access(Role.ADMIN)
"""Every right."""

NO_ACCESS: Final = Access()
"""Nothing at all."""


def _higher(one: Role | None, other: Role | None) -> Role | None:
    if one is None or other is None:
        return one or other
    return max(one, other)
