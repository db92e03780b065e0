"""Models of the API as frozen objects, and their readers from JSON.

Each reader raises ``KeyError``, ``TypeError`` or ``ValueError`` where a document is not what the
API promises; :meth:`Api.read` makes a ``ServerError`` of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from configsvc_client._resources.parsing import attribution, json_object, number, text, timestamp
from configsvc_client._values.diff import Difference, Differences
from configsvc_client._values.frozen import FrozenDict, freeze

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
    "read_application",
    "read_change",
    "read_configuration",
    "read_diff",
    "read_environment",
    "read_promotion",
    "read_release",
    "read_revision",
    "read_validation",
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

    def __repr__(self) -> str:
        return (
            f"<Promotion from {self.from_!r} to {self.to!r}: {len(self.released)} released,"
            f" {self.unchanged} unchanged>"
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
    ``promote`` or ``withdraw``."""
    entity: str
    """``application``, ``environment``, ``configuration`` or ``release``."""
    application_id: str
    configuration_id: str | None
    """``None`` for applications and environments."""
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

    def __repr__(self) -> str:
        version = "" if self.version is None else f" version {self.version}"
        is_release = self.entity == "release"
        kind = "" if is_release else f" {self.entity}"
        where = f" in {', '.join(map(repr, self.environments))}" if is_release else ""
        about = attribution(self.created_at, self.actor, self.message)
        return (
            f"<AuditChange {self.id}: {self.action}{kind} {self.name!r}{version}{where}, {about}>"
        )


def read_application(document: Mapping[str, Any], etag: str | None = None) -> Application:
    """Return the application that ``document`` describes.

    Args:
        document: a JSON object.
        etag: the ETag of the response; without it, the one in ``document``, as lists have it.
    """
    ids = document.get("configuration_ids")
    return Application(
        id=text(document["id"]),
        name=text(document["name"]),
        comments=document.get("comments"),
        created_at=timestamp(document["created_at"]),
        updated_at=timestamp(document["updated_at"]),
        configuration_ids=None if ids is None else tuple(ids),
        etag=document.get("etag") if etag is None else etag,
    )


def read_configuration(document: Mapping[str, Any]) -> Configuration:
    """Return the configuration that ``document`` describes."""
    schema = document["schema"]
    return Configuration(
        id=text(document["id"]),
        application_id=text(document["application_id"]),
        name=text(document["name"]),
        comments=document.get("comments"),
        config=json_object(document["config"]),
        version=int(document["version"]),
        created_at=timestamp(document["created_at"]),
        updated_at=timestamp(document["updated_at"]),
        updated_by=text(document["updated_by"]),
        overlays=json_object(document["overlays"]),
        schema=None if schema is None else json_object(schema),
    )


def read_environment(document: Mapping[str, Any], etag: str | None = None) -> Environment:
    """Return the environment that ``document`` describes.

    Args:
        document: a JSON object.
        etag: the ETag of the response; without it, the one in ``document``, as lists have it.
    """
    return Environment(
        application_id=text(document["application_id"]),
        name=text(document["name"]),
        position=int(document["position"]),
        auto_release=bool(document["auto_release"]),
        protected=bool(document["protected"]),
        created_at=timestamp(document["created_at"]),
        updated_at=timestamp(document["updated_at"]),
        etag=document.get("etag") if etag is None else etag,
    )


def read_revision(document: Mapping[str, Any]) -> Revision:
    """Return the revision that ``document`` describes."""
    schema = document["schema"]
    return Revision(
        configuration_id=text(document["configuration_id"]),
        version=int(document["version"]),
        application_id=text(document["application_id"]),
        name=text(document["name"]),
        comments=document["comments"],
        config=json_object(document["config"]),
        overlays=json_object(document["overlays"]),
        schema=None if schema is None else json_object(schema),
        digest=text(document["digest"]),
        author=text(document["author"]),
        message=document["message"],
        created_at=timestamp(document["created_at"]),
    )


def read_diff(document: Mapping[str, Any]) -> ConfigurationDiff:
    """Return the differences that ``document`` describes."""
    return ConfigurationDiff(
        configuration_id=text(document["configuration_id"]),
        from_=_side(document["from"]),
        to=_side(document["to"]),
        patch=tuple(json_object(operation) for operation in document["patch"]),
        changes=Differences(
            [
                Difference(
                    text(change["path"]),
                    freeze(change.get("old")),
                    freeze(change.get("new")),
                    text(change["kind"]),
                )
                for change in document["changes"]
            ]
        ),
    )


def read_validation(document: Mapping[str, Any]) -> Validation:
    """Return the outcome of a validation that ``document`` describes."""
    return Validation(json_object(document["environments"]))


def read_release(document: Mapping[str, Any]) -> Release:
    """Return the release that ``document`` describes."""
    return Release(
        id=int(document["id"]),
        configuration_id=text(document["configuration_id"]),
        application_id=text(document["application_id"]),
        name=text(document["name"]),
        environment=text(document["environment"]),
        version=number(document["version"]),
        previous_version=number(document["previous_version"]),
        author=text(document["author"]),
        message=document["message"],
        created_at=timestamp(document["created_at"]),
    )


def read_promotion(document: Mapping[str, Any]) -> Promotion:
    """Return the promotion that ``document`` describes."""
    return Promotion(
        from_=text(document["from"]),
        to=text(document["to"]),
        released=tuple(read_release(item) for item in document["released"]),
        unchanged=int(document["unchanged"]),
    )


def read_change(document: Mapping[str, Any]) -> AuditChange:
    """Return the change of the audit trail that ``document`` describes."""
    return AuditChange(
        id=int(document["id"]),
        action=text(document["action"]),
        entity=text(document["entity"]),
        application_id=text(document["application_id"]),
        configuration_id=document["configuration_id"],
        name=text(document["name"]),
        previous_name=document["previous_name"],
        version=number(document["version"]),
        previous_version=number(document["previous_version"]),
        source_version=number(document["source_version"]),
        environments=tuple(text(name) for name in document["environments"]),
        actor=text(document["actor"]),
        request_id=document["request_id"],
        message=document["message"],
        created_at=timestamp(document["created_at"]),
    )


def _side(document: Mapping[str, Any]) -> DiffSide:
    environment = document["environment"]
    return DiffSide(number(document["version"]), None if environment is None else text(environment))
