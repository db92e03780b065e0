"""Models of the API as frozen objects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from configsvc_client._resources.parsing import attribution
from configsvc_client._values.diff import Differences
from configsvc_client._values.frozen import FrozenDict

if TYPE_CHECKING:
    from configsvc_client._resources.fleet_models import Convergence

__all__ = [
    "Application",
    "AuditChange",
    "Configuration",
    "ConfigurationDiff",
    "DiffSide",
    "Environment",
    "Promotion",
    "Release",
    "Revision",
    "Validation",
]


@dataclass(frozen=True, slots=True)
class Application:
    """Application: a group of configurations that one program reads together.

    Example:
        >>> client.applications.get("billing").created_at.year
        2026
    """

    id: str
    """ULID."""
    name: str
    comments: str | None
    created_at: datetime
    """Time in UTC, timezone-aware."""
    updated_at: datetime
    """Time in UTC, timezone-aware."""
    configuration_ids: tuple[str, ...] | None = None
    """Ids of its configurations, oldest first; ``None`` on items of a list."""
    etag: str | None = None
    """ETag of this content without quotes, for ``If-Match``."""

    def __repr__(self) -> str:
        count = self.configuration_ids
        held = (
            "" if count is None else f", {len(count)} configuration{'' if len(count) == 1 else 's'}"
        )
        return f"<Application {self.name!r} {self.id}{held}>"


@dataclass(frozen=True, slots=True)
class Configuration:
    """Configuration: a named JSON object of one application, at the version that was read.

    Example:
        >>> database = client.configurations.find("billing", "database")
        >>> database.config["pool_size"], database.version
        (10, 3)
    """

    id: str
    """ULID."""
    application_id: str
    name: str
    comments: str | None
    config: Mapping[str, Any]
    """Values, read-only; ``copy.deepcopy`` returns a dict that can be changed."""
    version: int
    """Number of the version: 1, 2, 3, …, one more with every write."""
    created_at: datetime
    """Time in UTC, timezone-aware."""
    updated_at: datetime
    """Time in UTC, timezone-aware."""
    updated_by: str
    """Author of this version."""
    overlays: Mapping[str, Mapping[str, Any]] = field(default_factory=FrozenDict)
    """JSON Merge Patches over ``config`` by name of an environment."""
    schema: Mapping[str, Any] | None = None
    """JSON Schema (draft 2020-12) that the values meet in every environment."""

    def __repr__(self) -> str:
        return (
            f"<Configuration {self.name!r} {self.id} version {self.version},"
            f" {self.updated_at:%Y-%m-%d %H:%M} UTC by {self.updated_by}>"
        )


@dataclass(frozen=True, slots=True)
class Environment:
    """Environment of an application, which serves one version of each of its configurations.

    Example:
        >>> client.environments.get("billing", "prod").protected
        True
    """

    application_id: str
    name: str
    position: int
    """Position in the order of promotion."""
    auto_release: bool
    """Whether it serves each new version at once."""
    protected: bool
    """Whether its versions change by explicit releases only."""
    created_at: datetime
    """Time in UTC, timezone-aware."""
    updated_at: datetime
    """Time in UTC, timezone-aware."""
    etag: str | None = None
    """ETag of this content without quotes, for ``If-Match``."""

    def __repr__(self) -> str:
        protected = ", protected" if self.protected else ""
        auto = ", auto-release" if self.auto_release else ""
        return f"<Environment {self.name!r} at position {self.position}{protected}{auto}>"


@dataclass(frozen=True, slots=True)
class Revision:
    """Revision: the whole of a configuration at one version; never changed, and never lost.

    Example:
        >>> client.configurations.revision(database, 2).message
        'more load'
    """

    configuration_id: str
    version: int
    """Number of the version: 1, 2, 3, …"""
    application_id: str
    name: str
    comments: str | None
    config: Mapping[str, Any]
    """Values, read-only; ``copy.deepcopy`` returns a dict that can be changed."""
    overlays: Mapping[str, Mapping[str, Any]]
    """JSON Merge Patches over ``config`` by name of an environment."""
    schema: Mapping[str, Any] | None
    """JSON Schema (draft 2020-12) that the values meet in every environment."""
    digest: str
    """SHA-256 of the content, in hexadecimal digits."""
    author: str
    message: str | None
    """Reason that was given."""
    created_at: datetime
    """Time in UTC, timezone-aware."""

    def __repr__(self) -> str:
        about = attribution(self.created_at, self.author, self.message)
        return f"<Revision {self.version} of {self.name!r}, {about}>"


@dataclass(frozen=True, slots=True)
class DiffSide:
    """Side of a comparison.

    Example:
        >>> print(client.configurations.diff(database, from_environment="prod").from_)
        version 2 in 'prod'
    """

    version: int | None
    """Version; ``None`` for a document that has none yet, and where there is nothing."""
    environment: str | None
    """Environment with its overlay applied; ``None`` where overlays are compared as they are."""

    def __str__(self) -> str:
        version = "no version" if self.version is None else f"version {self.version}"
        return version if self.environment is None else f"{version} in {self.environment!r}"


@dataclass(frozen=True, slots=True)
class ConfigurationDiff:
    """Differences between two versions, environments or documents of a configuration.

    Example:
        >>> client.configurations.diff(database, 1, 2)
        version 1 → version 2
        ~ /config/pool_size: 5 → 8
    """

    configuration_id: str
    from_: DiffSide
    to: DiffSide
    patch: Sequence[Mapping[str, Any]]
    """Operations of a JSON Patch (RFC 6902) from the one to the other."""
    changes: Differences
    """Differences value by value, as :meth:`ConfigView.diff` has them."""

    def __repr__(self) -> str:
        return f"{self.from_} → {self.to}\n{self.changes!r}"


@dataclass(frozen=True, slots=True)
class Validation:
    """Result of a validation: the values that a document would have in each environment.

    Example:
        >>> checked = client.configurations.validate("billing", name="mail", config={"n": 1})
        >>> checked.environments["prod"]
        {'n': 1}
    """

    environments: Mapping[str, Mapping[str, Any]]
    """Values with the overlay of each environment, by its name."""

    def __repr__(self) -> str:
        return f"<Validation: valid in {', '.join(map(repr, self.environments))}>"


@dataclass(frozen=True, slots=True)
class Release:
    """Release: from its time on, an environment serves a version, or nothing any more.

    Example:
        >>> release = client.releases.release(database, "prod")
        >>> release.previous_version, release.version
        (2, 3)
    """

    id: int
    """Id, larger than that of every release before."""
    configuration_id: str
    application_id: str
    name: str
    """Name of the configuration at the time."""
    environment: str
    """Name of the environment."""
    version: int | None
    """Version; ``None`` where it was withdrawn."""
    previous_version: int | None
    """Version before; ``None`` where the environment served none."""
    author: str
    message: str | None
    """Reason that was given."""
    created_at: datetime
    """Time in UTC, timezone-aware."""

    def __repr__(self) -> str:
        what = "withdrawn" if self.version is None else f"version {self.version}"
        before = "" if self.previous_version is None else f" after {self.previous_version}"
        about = attribution(self.created_at, self.author, self.message)
        return f"<Release of {self.name!r} in {self.environment!r}: {what}{before}, {about}>"


@dataclass(frozen=True, slots=True)
class Promotion:
    """Result of a promotion from one environment to another.

    Example:
        >>> client.releases.promote("billing", "staging", "prod")
        <Promotion from 'staging' to 'prod': 2 released, 0 unchanged>
    """

    from_: str
    """Name of the environment whose versions were released."""
    to: str
    """Name of the environment that they were released in."""
    released: Sequence[Release]
    """Releases, one for each configuration of which ``to`` served something else."""
    unchanged: int
    """Number of configurations that were the same already."""
    convergence: "Convergence | None" = None
    """How far it had come at the end of the wait; ``None`` where there was none, or no answer."""

    def __repr__(self) -> str:
        come = "" if self.convergence is None else f"; {self.convergence}"
        return (
            f"<Promotion from {self.from_!r} to {self.to!r}: {len(self.released)} released,"
            f" {self.unchanged} unchanged{come}>"
        )


@dataclass(frozen=True, slots=True)
class AuditChange:
    """Change in the audit trail: who did what, when and why; never changed, and never lost.

    Example:
        >>> for change in client.changes.list(configuration=database, environment=prod):
        ...     print(change)
        <AuditChange ...: release 'database' version 1 in 'prod', ... UTC by ...>
        <AuditChange ...: release 'database' version 2 in 'prod', ... UTC by ...>
    """

    id: int
    """Id, larger than that of every change before."""
    action: str
    """``create``, ``update``, ``delete``, ``rollback``, ``restore``, ``release``,
    ``promote``, ``withdraw`` or ``rotate``."""
    entity: str
    """``application``, ``environment``, ``configuration``, ``release``, ``token``, ``grant`` or
    ``session``."""
    application_id: str | None
    """``None`` for sessions, tokens, and grants on everything."""
    configuration_id: str | None
    """``None`` for all but configurations and releases."""
    name: str
    """Name at the time; of a release, the name of the configuration."""
    previous_name: str | None
    """Name before, if it was another."""
    version: int | None
    """Version that was written or released; ``None`` where there is none."""
    previous_version: int | None
    """Version that the environment served before a release; ``None`` otherwise."""
    source_version: int | None
    """Version whose content a rollback or a restoration has brought back."""
    environments: tuple[str, ...]
    """Names of the environments that serve something else after it."""
    actor: str
    request_id: str | None
    """Id of the request in the log of the server."""
    message: str | None
    """Reason that was given."""
    created_at: datetime
    """Time in UTC, timezone-aware."""
    details: Mapping[str, Any] | None = None
    """Whom a token or a grant is for, ``principal``, and what it gives, ``grants``. Of a session,
    whose it is, ``principal``, its ``session_id``, and the ``issuer`` or ``token_id`` that it was
    begun with. ``None`` for all other changes."""

    def __repr__(self) -> str:
        version = "" if self.version is None else f" version {self.version}"
        is_release = self.entity == "release"
        kind = "" if is_release else f" {self.entity}"
        where = f" in {', '.join(map(repr, self.environments))}" if is_release else ""
        about = attribution(self.created_at, self.actor, self.message)
        return (
            f"<AuditChange {self.id}: {self.action}{kind} {self.name!r}{version}{where}, {about}>"
        )
