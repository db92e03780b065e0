"""What the server keeps, as frozen objects."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from configsvc_client._resources.parsing import json_object, moment, text
from configsvc_client._values.frozen import FrozenDict

__all__ = [
    "Application",
    "Configuration",
    "Environment",
    "read_application",
    "read_configuration",
    "read_environment",
]


@dataclass(frozen=True, slots=True)
class Application:
    """A group of configurations that one program reads together.

    Example:
        >>> client.applications.get("billing").created_at.year
        2026
    """

    id: str
    """A ULID."""
    name: str
    comments: str | None
    created_at: datetime
    """In UTC, and timezone-aware."""
    updated_at: datetime
    """In UTC, and timezone-aware."""
    configuration_ids: tuple[str, ...] | None = None
    """Oldest first; ``None`` on items of a list, which don't have it."""
    etag: str | None = None
    """Names this content for ``If-Match``; ``None`` on items of a list."""

    def __repr__(self) -> str:
        count = self.configuration_ids
        held = (
            "" if count is None else f", {len(count)} configuration{'' if len(count) == 1 else 's'}"
        )
        return f"<Application {self.name!r} {self.id}{held}>"


@dataclass(frozen=True, slots=True)
class Configuration:
    """A named JSON object of one application, at the version that was read.

    Example:
        >>> configuration = client.configurations.find("billing", "database")
        >>> configuration.config["pool_size"], configuration.version
        (10, 3)
    """

    id: str
    """A ULID."""
    application_id: str
    name: str
    comments: str | None
    config: Mapping[str, Any]
    """The values, read-only; ``copy.deepcopy`` gives a dict that can be changed."""
    version: int
    """1, 2, 3, …: one more with every write."""
    created_at: datetime
    """In UTC, and timezone-aware."""
    updated_at: datetime
    """In UTC, and timezone-aware."""
    updated_by: str
    """Who made this version."""
    overlays: Mapping[str, Mapping[str, Any]] = field(default_factory=FrozenDict)
    """What is different in an environment, by its name: JSON Merge Patches over ``config``."""
    schema: Mapping[str, Any] | None = None
    """The JSON Schema (draft 2020-12) that the values meet in every environment."""

    def __repr__(self) -> str:
        return (
            f"<Configuration {self.name!r} {self.id} version {self.version},"
            f" {self.updated_at:%Y-%m-%d %H:%M} UTC by {self.updated_by}>"
        )


@dataclass(frozen=True, slots=True)
class Environment:
    """A place that serves one version of each configuration of its application.

    Example:
        >>> client.environments.get("billing", "prod").protected
        True
    """

    application_id: str
    name: str
    position: int
    """Where it stands in the order of promotion."""
    auto_release: bool
    """Whether it serves each new version at once."""
    protected: bool
    """Whether what it serves changes by explicit releases only."""
    created_at: datetime
    """In UTC, and timezone-aware."""
    updated_at: datetime
    """In UTC, and timezone-aware."""
    etag: str | None = None
    """Names this content for ``If-Match``; ``None`` on items of a list."""

    def __repr__(self) -> str:
        protected = ", protected" if self.protected else ""
        auto = ", auto-release" if self.auto_release else ""
        return f"<Environment {self.name!r} at position {self.position}{protected}{auto}>"


def read_application(document: Mapping[str, Any], etag: str | None = None) -> Application:
    """Return the application that ``document`` describes.

    Raises:
        KeyError, TypeError, ValueError: it describes none.
    """
    ids = document.get("configuration_ids")
    return Application(
        id=text(document["id"]),
        name=text(document["name"]),
        comments=document.get("comments"),
        created_at=moment(document["created_at"]),
        updated_at=moment(document["updated_at"]),
        configuration_ids=None if ids is None else tuple(ids),
        etag=etag,
    )


def read_configuration(document: Mapping[str, Any]) -> Configuration:
    """Return the configuration that ``document`` describes.

    Raises:
        KeyError, TypeError, ValueError: it describes none.
    """
    schema = document.get("schema")
    return Configuration(
        id=text(document["id"]),
        application_id=text(document["application_id"]),
        name=text(document["name"]),
        comments=document.get("comments"),
        config=json_object(document["config"]),
        version=int(document["version"]),
        created_at=moment(document["created_at"]),
        updated_at=moment(document["updated_at"]),
        updated_by=text(document["updated_by"]),
        # A server that is older than these members leaves them out.
        overlays=json_object(document.get("overlays", {})),
        schema=None if schema is None else json_object(schema),
    )


def read_environment(document: Mapping[str, Any], etag: str | None = None) -> Environment:
    """Return the environment that ``document`` describes.

    Raises:
        KeyError, TypeError, ValueError: it describes none.
    """
    return Environment(
        application_id=text(document["application_id"]),
        name=text(document["name"]),
        position=int(document["position"]),
        auto_release=bool(document["auto_release"]),
        protected=bool(document["protected"]),
        created_at=moment(document["created_at"]),
        updated_at=moment(document["updated_at"]),
        etag=etag,
    )
