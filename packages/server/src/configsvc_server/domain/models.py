"""The entities of the service, as they are stored (design, section 2)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from configsvc_server.domain.jsontext import JsonObject

__all__ = [
    "DEFAULT_ENVIRONMENT",
    "MAX_COMMENTS",
    "MAX_MESSAGE",
    "MAX_NAME",
    "Action",
    "Application",
    "ApplicationDetail",
    "ApplicationDocument",
    "Change",
    "Configuration",
    "ConfigurationDocument",
    "Entity",
    "Provenance",
    "Revision",
    "Snapshot",
    "SnapshotEntry",
]

MAX_NAME = 256
"""Characters in a name."""
MAX_COMMENTS = 1024
"""Characters in comments."""
MAX_MESSAGE = 1024
"""Characters in the message of a change."""

DEFAULT_ENVIRONMENT = "default"
"""The environment that every application has from birth."""

Action = Literal["create", "update", "delete"]
"""What a change did."""

Entity = Literal["application", "configuration"]
"""What a change was done to."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Who writes, on which request, and why; kept with everything that is written."""

    actor: str
    request_id: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class ApplicationDocument:
    """The members of an application that its owner decides on."""

    name: str
    comments: str | None = None


@dataclass(frozen=True, slots=True)
class ConfigurationDocument:
    """The members of a configuration that its owner decides on."""

    name: str
    config: JsonObject
    comments: str | None = None


@dataclass(frozen=True, slots=True)
class Application:
    """A group of configurations that one program reads together."""

    id: str
    name: str
    comments: str | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class ApplicationDetail:
    """An application with the ids of its configurations, oldest first."""

    application: Application
    configuration_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Configuration:
    """A named JSON object of one application, at its newest version."""

    id: str
    application_id: str
    name: str
    comments: str | None
    config: JsonObject
    version: int
    created_at: datetime
    updated_at: datetime
    updated_by: str


@dataclass(frozen=True, slots=True)
class Revision:
    """The whole document of a configuration at one version; never changed."""

    configuration_id: str
    version: int
    application_id: str
    name: str
    comments: str | None
    config: JsonObject
    digest: str
    author: str
    message: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class SnapshotEntry:
    """One configuration of a snapshot."""

    name: str
    configuration_id: str
    version: int
    updated_at: datetime
    config: str
    """The JSON text of the object, as the database has it."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Every configuration of an application, resolved for one environment."""

    application_id: str
    application: str
    environment: str
    entries: tuple[SnapshotEntry, ...]
    """Ordered by name."""


@dataclass(frozen=True, slots=True)
class Change:
    """One committed act, as the audit trail and the change feed show it."""

    action: Action
    entity: Entity
    application_id: str
    configuration_id: str | None
    name: str
    version: int | None
    provenance: Provenance
    created_at: datetime | None = None
    """When it was written; set by the database."""
