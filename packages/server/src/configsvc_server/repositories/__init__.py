"""SQL, one module per table group: rows in, frozen dataclasses out."""

from dataclasses import dataclass

from configsvc_server.db.database import Connection
from configsvc_server.repositories.applications import ApplicationRepository
from configsvc_server.repositories.changes import ChangeRepository
from configsvc_server.repositories.configurations import ConfigurationRepository
from configsvc_server.repositories.environments import EnvironmentRepository
from configsvc_server.repositories.releases import ReleaseRepository
from configsvc_server.repositories.revisions import RevisionRepository
from configsvc_server.repositories.snapshots import SnapshotRepository

__all__ = ["Repositories"]


@dataclass(frozen=True, slots=True)
class Repositories:
    """Every table, over one connection."""

    applications: ApplicationRepository
    configurations: ConfigurationRepository
    revisions: RevisionRepository
    environments: EnvironmentRepository
    releases: ReleaseRepository
    snapshots: SnapshotRepository
    changes: ChangeRepository

    @classmethod
    def over(cls, connection: Connection) -> "Repositories":
        """Return the repositories that work over ``connection``."""
        return cls(
            ApplicationRepository(connection),
            ConfigurationRepository(connection),
            RevisionRepository(connection),
            EnvironmentRepository(connection),
            ReleaseRepository(connection),
            SnapshotRepository(connection),
            ChangeRepository(connection),
        )
