"""SQL: one module per group of tables; rows in, frozen dataclasses out."""

from functools import cached_property

from configsvc_server.db.connections import Connection
from configsvc_server.repositories.applications import ApplicationRepository
from configsvc_server.repositories.changes import ChangeRepository
from configsvc_server.repositories.configurations import ConfigurationRepository
from configsvc_server.repositories.environments import EnvironmentRepository
from configsvc_server.repositories.grants import GrantRepository
from configsvc_server.repositories.instances import InstanceRepository
from configsvc_server.repositories.issuer_keys import IssuerKeyRepository
from configsvc_server.repositories.monitoring import MonitoringRepository
from configsvc_server.repositories.releases import ReleaseRepository
from configsvc_server.repositories.revisions import RevisionRepository
from configsvc_server.repositories.sessions import SessionRepository
from configsvc_server.repositories.snapshots import SnapshotRepository
from configsvc_server.repositories.tokens import TokenRepository

__all__ = ["Repositories"]


class Repositories:
    """Repositories of all tables, over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @cached_property
    def applications(self) -> ApplicationRepository:
        """The table ``applications``."""
        return ApplicationRepository(self._connection)

    @cached_property
    def configurations(self) -> ConfigurationRepository:
        """The table ``configurations``."""
        return ConfigurationRepository(self._connection)

    @cached_property
    def revisions(self) -> RevisionRepository:
        """The table ``revisions``."""
        return RevisionRepository(self._connection)

    @cached_property
    def environments(self) -> EnvironmentRepository:
        """The table ``environments``."""
        return EnvironmentRepository(self._connection)

    @cached_property
    def releases(self) -> ReleaseRepository:
        """The tables ``releases`` and ``served_versions``."""
        return ReleaseRepository(self._connection)

    @cached_property
    def snapshots(self) -> SnapshotRepository:
        """Snapshots, over all tables."""
        return SnapshotRepository(self._connection)

    @cached_property
    def changes(self) -> ChangeRepository:
        """The table ``changes``, and the write lock."""
        return ChangeRepository(self._connection)

    @cached_property
    def sessions(self) -> SessionRepository:
        """The table ``sessions``."""
        return SessionRepository(self._connection)

    @cached_property
    def tokens(self) -> TokenRepository:
        """The table ``tokens``."""
        return TokenRepository(self._connection)

    @cached_property
    def issuer_keys(self) -> IssuerKeyRepository:
        """The table ``issuer_keys``."""
        return IssuerKeyRepository(self._connection)

    @cached_property
    def grants(self) -> GrantRepository:
        """The table ``grants``."""
        return GrantRepository(self._connection)

    @cached_property
    def monitoring(self) -> MonitoringRepository:
        """State of the database as a whole."""
        return MonitoringRepository(self._connection)

    @cached_property
    def instances(self) -> InstanceRepository:
        """The tables of the fleet."""
        return InstanceRepository(self._connection)
