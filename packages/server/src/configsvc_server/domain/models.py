"""Entities of the service, as they are stored, and the documents that callers write."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Literal

from configsvc_server.domain.access.grants import NO_ACCESS, Access, Role, Scope
from configsvc_server.domain.access.principals import NOBODY, Principal
from configsvc_server.domain.strict_json import JsonObject

__all__ = [
    "DEFAULT_ENVIRONMENT",
    "MAX_COMMENTS",
    "MAX_CONFIGURATIONS",
    "MAX_ENVIRONMENTS",
    "MAX_MESSAGE",
    "MAX_NAME",
    "MAX_POSITION",
    "MAX_SNAPSHOT_BYTES",
    "Action",
    "Application",
    "ApplicationDetail",
    "ApplicationDocument",
    "Change",
    "ChangeFilter",
    "ChangeNotice",
    "Configuration",
    "ConfigurationDocument",
    "Entity",
    "Environment",
    "EnvironmentDocument",
    "EnvironmentPatch",
    "Provenance",
    "Release",
    "ReleaseMove",
    "Revision",
    "ServedVersion",
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
"""The environment that every application is created with."""

MAX_ENVIRONMENTS = 50
"""Environments of one application."""

MAX_CONFIGURATIONS = 5000
"""Configurations of one application; the database keeps this bound."""

MAX_SNAPSHOT_BYTES = 16 * 1024 * 1024
"""Bytes of a snapshot: of all documents that an environment serves, with their overlays and
defaults, and 256 for each. The database keeps this bound where releases are written."""

MAX_POSITION = 2**31 - 1
"""The last position in the order of promotion."""

Action = Literal[
    "create", "update", "delete", "rollback", "restore", "release", "promote", "withdraw", "rotate"
]
"""Action of a change."""

Entity = Literal[
    "application", "environment", "configuration", "release", "token", "grant", "session"
]
"""Kind of thing that a change was done to."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Provenance:
    """Author, request and message of a write; kept with everything that is written."""

    actor: str
    request_id: str | None = None
    message: str | None = None
    principal: Principal = NOBODY
    """Whose rights count; not kept. :attr:`actor` is its name."""

    @property
    def caller(self) -> str:
        """Who has to share scarce work fairly with others."""
        return self.principal.fair_key


@dataclass(frozen=True, slots=True)
class ApplicationDocument:
    """Members of an application that its owner decides on."""

    name: str
    comments: str | None = None


@dataclass(frozen=True, slots=True)
class ConfigurationDocument:
    """Members of a configuration that its owner decides on."""

    name: str
    config: JsonObject
    comments: str | None = None
    overlays: Mapping[str, JsonObject] = field(default_factory=dict)
    """JSON Merge Patches over ``config``, by environment."""
    schema: JsonObject | None = None
    """JSON Schema that every resolved value must meet."""

    @property
    def is_self_contained(self) -> bool:
        """Whether nothing else can contradict it: it has neither a schema nor overlays."""
        return self.schema is None and not self.overlays

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
    """Members of an environment that its owner decides on."""

    position: int
    auto_release: bool
    protected: bool


@dataclass(frozen=True, slots=True)
class EnvironmentPatch:
    """Members of an environment that are to be set; ``None`` leaves one as it is."""

    position: int | None = None
    auto_release: bool | None = None
    """``None`` turns it off if the environment becomes protected."""
    protected: bool | None = None

    def apply(self, current: EnvironmentDocument) -> EnvironmentDocument:
        """Return ``current`` with these members set."""
        protected = current.protected if self.protected is None else self.protected
        auto_release = self.auto_release
        if auto_release is None:
            becomes_protected = protected and not current.protected
            auto_release = current.auto_release and not becomes_protected
        position = current.position if self.position is None else self.position
        return EnvironmentDocument(position, auto_release, protected)


@dataclass(frozen=True, slots=True)
class Application:
    """Group of configurations that one program reads together."""

    id: str
    name: str
    comments: str | None
    created_at: datetime
    updated_at: datetime
    last_change_id: int
    """The last change of it, or of which configurations it has."""

    @property
    def document(self) -> ApplicationDocument:
        """The members that its owner decides on."""
        return ApplicationDocument(self.name, self.comments)

    @property
    def etag(self) -> str:
        """The strong entity tag, without quotes; that of a list item and of the detail alike."""
        return str(self.last_change_id)


@dataclass(frozen=True, slots=True)
class ApplicationDetail:
    """Application with the ids of its configurations, oldest first."""

    application: Application
    configuration_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Configuration:
    """Named JSON object of one application, at its newest version."""

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
    def etag(self) -> str:
        """The strong entity tag, without quotes: a version is written once and never again."""
        return str(self.version)

    @property
    def document(self) -> ConfigurationDocument:
        """The members that its owner decides on."""
        return ConfigurationDocument(
            self.name, self.config, self.comments, self.overlays, self.schema
        )


@dataclass(frozen=True, slots=True)
class Revision:
    """Whole document of a configuration at one version; immutable."""

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
    """Named deployment target that serves one version of each configuration."""

    application_id: str
    name: str
    position: int
    """Position in the order of promotion."""
    auto_release: bool
    """Whether new revisions are released to it at once."""
    protected: bool
    """Whether nothing but an explicit release changes what it serves."""
    created_at: datetime
    updated_at: datetime

    @property
    def document(self) -> EnvironmentDocument:
        """The members that its owner decides on."""
        return EnvironmentDocument(self.position, self.auto_release, self.protected)

    @property
    def etag(self) -> str:
        """The strong entity tag, without quotes: no two writes have the same timestamp."""
        return str((self.updated_at - _EPOCH) // timedelta(microseconds=1))


@dataclass(frozen=True, slots=True)
class Release:
    """Record that an environment serves a version from now on; immutable."""

    id: int
    """Ascends in the order of commits."""
    application_id: str
    configuration_id: str
    name: str
    """Name of the configuration in the released revision."""
    environment: str
    version: int | None
    """``None`` where the environment has ceased to serve the configuration."""
    previous_version: int | None
    """Version that it served before; ``None`` for none."""
    author: str
    message: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ReleaseMove:
    """Release that is to be made."""

    application_id: str
    environment: str
    configuration_id: str
    name: str
    version: int | None
    previous_version: int | None
    rolls_back_to: int | None = None
    """The earlier release whose state is brought back."""


@dataclass(frozen=True, slots=True)
class ServedVersion:
    """Version of a configuration that an environment serves now."""

    application_id: str
    environment: str
    configuration_id: str
    name: str
    version: int
    release_id: int


@dataclass(frozen=True, slots=True)
class SnapshotEntry:
    """Configuration of a snapshot."""

    name: str
    configuration_id: str
    version: int
    updated_at: datetime
    config: str
    """JSON text of the object."""
    overlay: JsonObject | None
    """JSON Merge Patch that is still to be applied to it."""
    defaults: str | None
    """The JSON text of the schema's defaults by JSON Pointer, parents before members."""
    secrets: str | None = None
    """The JSON text of the list of JSON Pointers to what the schema marks as secret."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All configurations that an environment of an application serves."""

    application_id: str
    application: str
    environment: str
    entries: tuple[SnapshotEntry, ...]
    """Ordered by name."""


@dataclass(frozen=True, slots=True)
class Change:
    """Committed act, as the audit trail and the change feed show it."""

    action: Action
    entity: Entity
    application_id: str | None
    """``None`` for sessions, tokens, and grants on everything."""
    configuration_id: str | None
    name: str
    version: int | None
    provenance: Provenance
    environments: tuple[str, ...] = ()
    """Those whose snapshot it has changed."""
    previous_name: str | None = None
    """Its name before, where that was another one."""
    previous_version: int | None = None
    """Of a release: what the environment served before."""
    source_version: int | None = None
    """The version whose content a rollback or a restoration has brought back."""
    details: JsonObject | None = None
    """Of a token or grant: who gets which roles where. Of a session: whose it is."""
    created_at: datetime | None = None
    """When it was written; set by the database."""
    id: int | None = None
    """Ascends in the order of commits; set by the database."""


@dataclass(frozen=True, slots=True)
class ChangeNotice:
    """News of a committed change: who must evict, and whom to wake."""

    ACTOR_LENGTH: ClassVar[int] = 1000
    """Characters of an actor; a notification has no room for more."""

    application_id: str | None
    configuration_id: str | None
    entity: str
    action: str
    environments: tuple[str, ...]
    """Those whose snapshot is another one now."""
    actor: str
    """Cut to :attr:`ACTOR_LENGTH`."""


@dataclass(frozen=True, slots=True)
class ChangeFilter:
    """Conditions on changes; ``None`` for no condition."""

    application_id: str | None = None
    configuration_id: str | None = None
    actor: str | None = None
    action: str | None = None
    entity: str | None = None
    environment: str | None = None
    """Needs ``application_id``: names are those of one application."""
    access: Access = NO_ACCESS
    """Only those of what it lets read."""

    def may_pass(self, notice: ChangeNotice) -> bool:
        """Return whether the change of a notice may pass; it does if its actor is not cut."""
        actor = None if self.actor is None else self.actor[: ChangeNotice.ACTOR_LENGTH]
        return (
            self.application_id in {None, notice.application_id}
            and self.configuration_id in {None, notice.configuration_id}
            and actor in {None, notice.actor}
            and self.action in {None, notice.action}
            and self.entity in {None, notice.entity}
            and (self.environment is None or self.environment in notice.environments)
            and self._shows(notice)
        )

    def _shows(self, notice: ChangeNotice) -> bool:
        if notice.application_id is None or notice.entity in {"token", "grant"}:
            role = self.access.role_on(Scope(notice.application_id))
            return role is Role.ADMIN
        readable = self.access.readable_environments(notice.application_id)
        return readable is None or not readable.isdisjoint(notice.environments)
