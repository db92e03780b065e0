"""Status of a live view."""

from collections.abc import Mapping
from dataclasses import dataclass

from configsvc_client.errors import ConfigSvcError

__all__ = ["Status"]


@dataclass(frozen=True, slots=True)
class Status:
    """Status of a live view at the time of the call.

    Example:
        >>> app.status()
        live: version ..., confirmed ... ago, 2 configurations, ...
        >>> app.status().stale
        False
    """

    state: str
    """``not started``, ``starting``, ``live``, ``stale`` or ``closed``."""
    version: str | None
    """ETag of the snapshot; ``None`` where there is none."""
    age: float | None
    """Seconds since the snapshot was last known to be current; ``None`` where there is none."""
    stale: bool
    """Whether a newer snapshot may exist unnoticed: the last poll failed, or none
    succeeded for ``stale_after`` seconds, or nothing but the copy on disk is known."""
    source: str | None
    """``server`` or ``disk``; ``None`` where there is no snapshot."""
    last_error: ConfigSvcError | None
    """Last failure, even if requests succeed again."""
    polls: int
    """Requests made, also failed ones; in a forked child, the parent's until the fork too."""
    changes: int
    """Snapshots put in place, the first one and the copy on disk included."""
    mode: str | None
    """``long poll`` or ``interval``; ``None`` where nothing polls."""
    configurations: int
    """Number of configurations."""
    rejected: Mapping[str, str]
    """Reasons why bound objects do not follow, by path; empty where all do."""
    cache_error: str | None
    """Problem of the copy on disk; ``None`` where there is none."""

    def __repr__(self) -> str:
        parts = []
        if self.version is not None:
            parts.append(f"version {self.version[:8]}")
        if self.age is not None:
            parts.append(f"confirmed {duration(self.age)} ago")
            plural = "" if self.configurations == 1 else "s"
            parts.append(f"{self.configurations} configuration{plural}")
        if self.source == "disk":
            parts.append("from disk")
        parts += [self.mode] if self.mode else []
        parts.append(f"{self.polls} polls")
        text = f"{self.state}: {', '.join(parts)}"
        if self.stale and self.last_error is not None:
            text += f"\nlast error: {self.last_error}"
        for name, reason in self.rejected.items():
            text += f"\nrejected {name}: {reason}"
        if self.cache_error is not None:
            text += f"\ncache: {self.cache_error}"
        return text


def duration(seconds: float) -> str:
    """Format a duration for people, in the largest unit of which there are two.

    Args:
        seconds: the duration.
    """
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
