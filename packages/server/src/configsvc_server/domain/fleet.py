"""Fleet: the instances that poll snapshots, what each of them serves, and convergence."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, TypeAlias

__all__ = [
    "CONNECTION_PREFIX",
    "DEFAULT_INTERVAL",
    "MAX_INTERVAL",
    "MAX_PROCESSES",
    "MAX_REJECTIONS",
    "MAX_REJECTS",
    "MIN_GONE_AFTER",
    "About",
    "Convergence",
    "ConvergenceState",
    "FleetCount",
    "Instance",
    "InstanceFilter",
    "InstanceMoment",
    "InstanceState",
    "Rejection",
    "RejectionCount",
]

CONNECTION_PREFIX: Final = "connection:"
"""Beginning of the ids of anonymous instances, which are known by their connection."""

DEFAULT_INTERVAL: Final = 30
"""Seconds until the next poll of an instance that does not say so."""
MAX_INTERVAL: Final = 3600
MAX_PROCESSES: Final = 1_000_000
MIN_GONE_AFTER: Final = 90
"""Seconds after its last poll in which no instance counts as gone."""
_MISSED_POLLS: Final = 3

MAX_REJECTS: Final = 1000
"""Parts of a snapshot that an instance can say that it rejects."""
MAX_REJECTIONS: Final = 20
"""Rejections of one report, and kinds of rejections that convergence tells of."""

InstanceState: TypeAlias = Literal["current", "behind", "rejecting", "gone"]
ConvergenceState: TypeAlias = Literal["converged", "converging", "rejected", "superseded"]


@dataclass(frozen=True, slots=True)
class About:
    """What an instance says of itself."""

    id: str
    service: str | None = None
    version: str | None = None
    sdk: str | None = None
    host: str | None = None
    interval: int = DEFAULT_INTERVAL
    """Seconds until its next poll, at most."""
    processes: int = 1
    """How many processes follow its polls."""
    rejects: int | None = None
    """How many parts of what it serves it rejects; ``None`` where only its reports tell."""

    @property
    def is_anonymous(self) -> bool:
        """Whether it is known by its connection alone."""
        return self.id.startswith(CONNECTION_PREFIX)

    @property
    def gone_after(self) -> int:
        """Seconds after its last poll from which on it counts as gone."""
        return max(MIN_GONE_AFTER, _MISSED_POLLS * self.interval)


@dataclass(frozen=True, slots=True)
class Rejection:
    """A part of a snapshot that an instance could not use."""

    configuration: str | None
    """Its name; ``None`` for the snapshot as a whole."""
    pointer: str
    message: str


@dataclass(frozen=True, slots=True)
class RejectionCount:
    """How many instances have rejected the same for the same reason."""

    rejection: Rejection
    instances: int


@dataclass(frozen=True, slots=True)
class InstanceFilter:
    """Instances of one environment that are wanted."""

    application_id: str
    environment: str
    current: str
    """Tag of the snapshot that the environment serves now."""
    state: InstanceState | None = None
    service: str | None = None


@dataclass(frozen=True, slots=True)
class Instance:
    """One process that polls an environment."""

    about: About
    serves: str | None
    """Tag of the snapshot that it has; ``None`` where it has none yet."""
    rejections: Sequence[Rejection]
    """What it has reported of that snapshot."""
    is_rejecting: bool
    is_gone: bool
    first_seen_at: datetime
    last_seen_at: datetime
    """It has polled then or later."""
    since: datetime
    address: str
    principal: str | None

    def state(self, current: str) -> InstanceState:
        """Return its state where the environment serves the snapshot with the tag ``current``."""
        if self.is_gone:
            return "gone"
        if self.serves != current:
            return "behind"
        return "rejecting" if self.is_rejecting else "current"


@dataclass(frozen=True, slots=True)
class InstanceMoment:
    """What an instance served at a past time."""

    serves: str | None
    since: datetime
    is_gone: bool
    """Whether nothing was heard of it at that time."""
    rejections: Sequence[Rejection]


@dataclass(frozen=True, slots=True)
class Convergence:
    """How many instances of an environment serve a snapshot."""

    version: str
    """Tag of that snapshot."""
    serves: str
    """Tag of the snapshot that the environment serves now."""
    current: int
    behind: int
    rejecting: int
    gone: int
    rejections: Sequence[RejectionCount] = ()
    """The most frequent ones."""

    @property
    def instances(self) -> int:
        """How many there are that are not gone."""
        return self.current + self.behind + self.rejecting

    @property
    def state(self) -> ConvergenceState:
        """Whether all of them have it, or will."""
        if self.version != self.serves:
            return "superseded"
        if self.behind:
            return "converging"
        return "rejected" if self.rejecting else "converged"

    @property
    def is_final(self) -> bool:
        """Whether waiting is over."""
        return self.state != "converging"


@dataclass(frozen=True, slots=True)
class FleetCount:
    """How many instances of an environment are alike."""

    application_id: str
    application: str
    environment: str
    serves: str | None
    is_rejecting: bool
    is_gone: bool
    amount: int

    def state(self, served: str | None) -> InstanceState:
        """Return their state, where the environment serves the snapshot with a tag."""
        if self.is_gone:
            return "gone"
        if self.serves is None or self.serves != served:
            return "behind"
        return "rejecting" if self.is_rejecting else "current"
