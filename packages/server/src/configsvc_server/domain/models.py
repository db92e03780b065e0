"""The entities of the service, as they are stored (design, section 2)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from configsvc_server.domain.strict_json import JsonObject

__all__ = [
    "DEFAULT_ENVIRONMENT",
    "MAX_COMMENTS",
    "MAX_ENVIRONMENTS",
    "MAX_MESSAGE",
    "MAX_NAME",
    "MAX_POSITION",
    "Action",
    "Application",
    "ApplicationDetail",
    "ApplicationDocument",
    "Change",
    "ChangeFilter",
    "Configuration",
    "ConfigurationDocument",
    "Entity",
    "Environment",
    "EnvironmentDocument",
    "Move",
    "Pointer",
    "Provenance",
    "Release",
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

MAX_ENVIRONMENTS = 50
"""Environments of one application."""

MAX_POSITION = 2**31 - 1
"""The last place in the order of promotion."""

Action = Literal[
    "create", "update", "delete", "rollback", "restore", "release", "promote", "withdraw"
]
"""What a change did."""

Entity = Literal["application", "environment", "configuration", "release"]
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
    overlays: Mapping[str, JsonObject] = field(default_factory=dict)
    """JSON Merge Patches over ``config``, by environment."""
    schema: JsonObject | None = None
    """JSON Schema that every resolved value must meet."""

    @property
    def members(self) -> JsonObject:
        """The members by their names, as JSON has them."""
        return {
            "name": self.name,
            "comments": self.comments,
            "config": self.config,
            "overlays": self.overlays,
            "schema": self.schema,
        }


@dataclass(frozen=True, slots=True)
class EnvironmentDocument:
    """The members of an environment that its owner decides on."""

    position: int
    auto_release: bool
    protected: bool


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
    overlays: Mapping[str, JsonObject]
    schema: JsonObject | None
    version: int
    created_at: datetime
    updated_at: datetime
    updated_by: str

    @property
    def document(self) -> ConfigurationDocument:
        """The members that its owner decides on."""
        return ConfigurationDocument(
            self.name, self.config, self.comments, self.overlays, self.schema
        )


@dataclass(frozen=True, slots=True)
class Revision:
    """The whole document of a configuration at one version; never changed."""

    configuration_id: str
    version: int
    application_id: str
    name: str
    comments: str | None
    config: JsonObject
    overlays: Mapping[str, JsonObject]
    schema: JsonObject | None
    digest: str
    author: str
    message: str | None
    created_at: datetime

    @property
    def document(self) -> ConfigurationDocument:
        """The members that its owner decided on."""
        return ConfigurationDocument(
            self.name, self.config, self.comments, self.overlays, self.schema
        )


@dataclass(frozen=True, slots=True)
class Environment:
    """A place to which revisions are released: what one group of processes is served."""

    application_id: str
    name: str
    position: int
    """Where it stands in the order of promotion."""
    auto_release: bool
    """Whether new revisions are released to it at once."""
    protected: bool
    """Whether nothing but an explicit release changes what it serves."""
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Release:
    """One move of a pointer: an environment serves a version from now on; never changed."""

    id: int
    """Ascends in the order of commits."""
    application_id: str
    configuration_id: str
    name: str
    """What the configuration is called in the released revision."""
    environment: str
    version: int | None
    """``None`` where the environment has ceased to serve the configuration."""
    previous_version: int | None
    """What it served before; ``None`` for nothing."""
    author: str
    message: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Move:
    """A pointer that is to be moved."""

    application_id: str
    environment: str
    configuration_id: str
    name: str
    version: int | None
    previous_version: int | None
    restores: int | None = None
    """The earlier release whose state is brought back."""


@dataclass(frozen=True, slots=True)
class Pointer:
    """What an environment serves of a configuration now."""

    application_id: str
    environment: str
    configuration_id: str
    name: str
    version: int
    release_id: int


@dataclass(frozen=True, slots=True)
class SnapshotEntry:
    """One configuration of a snapshot."""

    name: str
    configuration_id: str
    version: int
    updated_at: datetime
    config: str
    """The JSON text of the object, before the overlay, as the database has it."""
    overlay: JsonObject | None
    """The JSON Merge Patch of the environment."""
    defaults: str | None
    """The JSON text of the schema's defaults by JSON Pointer, parents before members."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Every configuration that an environment of an application serves."""

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
    environments: tuple[str, ...] = ()
    """Those whose snapshot is another one by it."""
    previous_name: str | None = None
    """What it was called before, if that is something else."""
    previous_version: int | None = None
    """Of a release: what the environment served before."""
    source_version: int | None = None
    """The version whose content a rollback or a restoration has brought back."""
    created_at: datetime | None = None
    """When it was written; set by the database."""
    id: int | None = None
    """Ascends in the order of commits; set by the database."""


@dataclass(frozen=True, slots=True)
class ChangeFilter:
    """Which changes are wanted; ``None`` for all."""

    application_id: str | None = None
    configuration_id: str | None = None
    actor: str | None = None
    action: str | None = None
    entity: str | None = None
    environment: str | None = None
    """Needs ``application_id``: names are those of one application."""
