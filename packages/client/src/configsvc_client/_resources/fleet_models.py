"""Models of the fleet: the instances that poll an environment, and how far a version has come."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from configsvc_client.errors import NotFoundError

if TYPE_CHECKING:
    from configsvc_client._values.snapshot import Snapshot

__all__ = ["Convergence", "Instance", "PastInstance", "Rejection"]


@dataclass(frozen=True, slots=True)
class Rejection:
    """Reason for which an application does not use a snapshot, without values.

    Example:
        >>> app.bind("database", DatabaseSettings)
        <Bound 'database': DatabaseSettings>
        >>> client.set("billing", "database", {"host": 1})
        >>> (instance,) = client.instances("billing")
        >>> instance.rejections
        (<Rejection: database /host must be a string, not an integer>,)
    """

    configuration: str | None
    """Name of the configuration; ``None`` for the snapshot as a whole."""
    pointer: str
    """JSON Pointer (RFC 6901) within the configuration; empty for the whole of it."""
    message: str
    """Expectation that is not met, or what failed, to be read after the pointer."""
    instances: int = 1
    """Number of instances that say so, where several are summed up."""

    def __repr__(self) -> str:
        return f"<Rejection: {self}>"

    def __str__(self) -> str:
        return " ".join(part for part in (self.configuration, self.pointer, self.message) if part)


@dataclass(frozen=True, slots=True)
class Instance:
    """Instance of a program: one client in one process that polls for an environment.

    Example:
        >>> (instance,) = client.instances("billing")
        >>> instance.id, instance.state
        ('instance-1', 'current')
    """

    id: str
    """Id that it gives itself, or ``connection:ADDRESS:PORT`` where it gives none."""
    application: str
    """Application, as it was asked for: its id or its name."""
    environment: str
    """Name of the environment."""
    service: str | None
    """Name of the program; ``None`` where it is not known, as in what follows."""
    version: str | None
    """Version of the program."""
    sdk: str | None
    """Name and version of the library that polls."""
    host: str | None
    """Name of the host."""
    processes: int
    """Number of processes that follow its polls, itself included."""
    serves: str | None
    """ETag of the snapshot that it has, as ``Status.version``; ``None`` where it has none yet."""
    state: str
    """``current``, ``behind``, ``rejecting`` or ``gone``."""
    rejections: Sequence[Rejection]
    """Reasons for which it rejects that snapshot."""
    first_seen_at: datetime
    """Time in UTC, timezone-aware, as those that follow."""
    last_seen_at: datetime
    """Time of its last poll."""
    since: datetime | None
    """Time at which it began to serve that snapshot; ``None`` where it is not known."""
    address: str | None
    """IP address that it polls from."""
    principal: str | None
    """Name of whom its token stands for; ``None`` where authentication is off."""

    def __repr__(self) -> str:
        what = " ".join(part for part in (self.service, self.version) if part)
        at = f" on {self.host}" if self.host else ""
        serves = "nothing yet" if self.serves is None else self.serves[:8]
        reasons = "".join(f"; {rejection}" for rejection in self.rejections)
        return f"<Instance {self.id} {what}{at}: {self.state}, serves {serves}{reasons}>"


@dataclass(frozen=True, slots=True)
class Convergence:
    """Convergence of a fleet on a version: how many instances serve it, and who rejects it.

    Those that are gone count in no other number. Its ``repr`` is a sentence for people.

    Example:
        >>> client.instances("billing").convergence()
        the 1 instance serves this version
    """

    version: str
    """ETag of the snapshot that it is about."""
    state: str
    """``converged``, ``converging``, ``rejected``, or ``superseded`` by a newer version."""
    instances: int
    """Number of instances."""
    current: int
    """Number of those that serve this version and reject nothing."""
    behind: int
    """Number of those that serve another, or nothing yet."""
    rejecting: int
    """Number of those that have it and reject it."""
    gone: int
    """Number of instances that have ceased to poll, within the last day."""
    rejections: Sequence[Rejection]
    """Reasons, the most frequent first."""

    @property
    def is_final(self) -> bool:
        """Whether there is nothing to wait for any more."""
        return self.state != "converging"

    def __repr__(self) -> str:
        if not self.instances:
            text = "no instance polls here"
        elif self.current == self.instances:
            text = (
                "the 1 instance serves"
                if self.instances == 1
                else f"all {self.instances} instances serve"
            ) + " this version"
        else:
            verb = "serves" if self.current == 1 else "serve"
            text = f"{self.current} of {_count(self.instances)} {verb} this version"
        if self.behind:
            text += f", {self.behind} {'is' if self.behind == 1 else 'are'} behind"
        if self.rejecting:
            text += f", {self.rejecting} {'rejects' if self.rejecting == 1 else 'reject'} it: "
            text += "; ".join(map(str, self.rejections)) or "the reasons are not known yet"
        if self.state == "superseded":
            text += "; a newer one is served"
        return text


def _count(instances: int) -> str:
    return f"{instances} instance{'' if instances == 1 else 's'}"


@dataclass(frozen=True, slots=True)
class PastInstance:
    """Instance as it was at a timestamp.

    Example:
        >>> (instance,) = client.instances("billing")
        >>> client.instances("billing").at(instance, instance.last_seen_at)
        <PastInstance instance-1 at ... UTC: served ...>
    """

    id: str
    """Id of the instance."""
    at: datetime
    """Time that was asked for, in UTC, timezone-aware."""
    serves: str | None
    """ETag of the snapshot that it served then; ``None`` where it had none yet."""
    since: datetime | None
    """Time at which it began to serve that; ``None`` where it is not known."""
    rejections: Sequence[Rejection]
    """Reasons for which it rejected that snapshot."""
    gone: bool
    """Whether it had ceased to poll by then; what it served last is told nevertheless."""
    snapshot: "Snapshot | None" = field(repr=False)
    """Snapshot that it served then, exactly; ``None`` where it had none yet."""

    def replay(self) -> "Snapshot":
        """Return the snapshot.

        Raises:
            NotFoundError: it had none yet.

        Example:
            >>> (instance,) = client.instances("billing")
            >>> past = client.instances("billing").at(instance, instance.last_seen_at)
            >>> past.replay()["database"]["host"]
            'db1'
        """
        if self.snapshot is None:
            raise NotFoundError(f"The instance {self.id!r} had no snapshot yet at {self.at}.")
        return self.snapshot

    def __repr__(self) -> str:
        serves = "nothing yet" if self.serves is None else self.serves[:8]
        reasons = "".join(f"; rejected {rejection}" for rejection in self.rejections)
        return (
            f"<PastInstance {self.id} at {self.at:%Y-%m-%d %H:%M:%S} UTC: served {serves}{reasons}>"
        )
