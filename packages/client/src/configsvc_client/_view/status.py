"""How a live view is doing."""

from collections.abc import Mapping
from dataclasses import dataclass

from configsvc_client.errors import ConfigSvcError

__all__ = ["Status"]


@dataclass(frozen=True, slots=True)
class Status:
    """How a live view is doing at the moment of the question.

    Example:
        >>> app.status()
        live: version 3f2a90c1, confirmed 2 s ago, 3 configurations, long poll, 12 polls
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
    """Whether a newer snapshot may exist without our knowing: the last poll failed, or none
    succeeded for ``stale_after`` seconds, or nothing but the copy on disk is known."""
    source: str | None
    """``server`` or ``disk``; ``None`` where there is no snapshot."""
    last_error: ConfigSvcError | None
    """What went wrong last, even if all is well again."""
    polls: int
    """Requests made in this process, also failed ones."""
    changes: int
    """Snapshots received, the first one included."""
    mode: str | None
    """``long poll`` or ``interval``; ``None`` where nothing polls."""
    configurations: int
    """How many configurations there are."""
    rejected: Mapping[str, str]
    """Why a bound object does not follow, by what it is bound to; empty where all do."""
    cache_error: str | None
    """What is wrong with the copy on disk; ``None`` where nothing is."""

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
    """Write a duration as a person would say it."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
