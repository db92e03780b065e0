"""Errors of the domain, as classes with data; ``http`` maps each to a status in one table."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

__all__ = [
    "MAX_ERRORS",
    "ConfigSvcError",
    "ConflictError",
    "FieldError",
    "ForbiddenError",
    "InvalidError",
    "MalformedJsonError",
    "NameServedError",
    "NotFoundError",
    "PreconditionFailedError",
    "SchemaTooCostlyError",
    "SnapshotTooLargeError",
    "StaleError",
    "StateError",
    "TooManyRequestsError",
    "UnauthenticatedError",
    "UnavailableError",
    "UnstorableValueError",
]


MAX_ERRORS: Final = 20
"""Broken rules that are named at once."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """Broken rule about one field of the input."""

    pointer: str
    """JSON Pointer (RFC 6901) to the field in the input, however that was sent."""

    message: str
    """What was expected, to be read after the name of the field."""

    schema_pointer: str | None = None
    """JSON Pointer to the rule that is broken, in the schema of the configuration."""

    environments: tuple[str, ...] = ()
    """The environments in which the rule is broken."""


class ConfigSvcError(Exception):
    """Base of every error that this service raises on purpose."""


class MalformedJsonError(ConfigSvcError):
    """A text is not JSON, or not JSON with one meaning."""

    def __init__(self, message: str, pointer: str = "") -> None:
        super().__init__(message)
        self.message = message
        """What is wrong, to be read after the name of the field."""
        self.pointer = pointer
        """JSON Pointer to the place; empty where the text as a whole cannot be read."""


class InvalidError(ConfigSvcError):
    """The input is well-formed, but breaks a rule."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        named = errors[:MAX_ERRORS]
        texts = dict.fromkeys(f"{e.pointer or 'the document'} {e.message}" for e in named)
        more = ["and there are more"] if len(errors) > MAX_ERRORS else []
        super().__init__("; ".join([*texts, *more]))
        self.errors = tuple(named)
        """Broken rules that were found, the first of them; at least one."""


class NotFoundError(ConfigSvcError):
    """Something that was asked for does not exist."""

    def __init__(
        self,
        entity: str,
        key: str,
        *,
        when: datetime | None = None,
        message: str | None = None,
    ) -> None:
        then = f"There was no {entity} {key!r} at {when.isoformat()}." if when else None
        super().__init__(message or then or f"There is no {entity} {key!r}.")
        self.entity = entity
        """Such as ``application`` or ``configuration``."""
        self.key = key
        """The id or name that was looked up."""

    @property
    def entity_with_article(self) -> str:
        """The entity, to be put into a sentence."""
        return f"{_article(self.entity)} {self.entity}"


class UnauthenticatedError(ConfigSvcError):
    """Nobody that may act here has sent the request."""

    def __init__(self, message: str, *, was_given: bool = True) -> None:
        super().__init__(message)
        self.was_given = was_given
        """Whether there were credentials, that are no good."""


class ForbiddenError(ConfigSvcError):
    """The principal may read something, but not do this to it."""

    def __init__(
        self,
        principal: str,
        role: str,
        *,
        application_id: str | None = None,
        application: str | None = None,
        environment: str | None = None,
    ) -> None:
        where = application or application_id or "the installation"
        if environment is not None:
            where = f"{where}/{environment}"
        super().__init__(f"{principal} needs the role {role} on {where} for this.")
        self.principal = principal
        """Who wanted to."""
        self.role = role
        """The least role that allows it."""
        self.application_id = application_id
        """Where it is needed; ``None`` for the installation."""
        self.application = application
        """The name or id of the application, as far as it is known."""
        self.environment = environment
        """``None`` for the application as a whole."""

    def naming(self, application: str) -> "ForbiddenError":
        """Return the same with the name of the application."""
        return ForbiddenError(
            self.principal,
            self.role,
            application_id=self.application_id,
            application=application,
            environment=self.environment,
        )


class TooManyRequestsError(ConfigSvcError):
    """One principal or address asks for more than it may."""

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """How long to wait before trying again, in seconds."""


class ConflictError(ConfigSvcError):
    """Something unique is taken."""

    def __init__(self, *, entity: str, field: str, value: str) -> None:
        super().__init__(f"There is already {_article(entity)} {entity} with {field} {value!r}.")
        self.entity = entity
        """Such as ``application`` or ``configuration``."""
        self.field = field
        """The member that must be unique."""
        self.value = value
        """The value that is taken."""


class StateError(ConfigSvcError):
    """The state of things does not allow this now."""

    def __init__(self, kind: str, message: str, *, pointer: str | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        """Names the kind of problem for programs."""
        self.pointer = pointer
        """JSON Pointer to the member of the body that is in conflict, if one is."""


class NameServedError(StateError):
    """An environment serves another configuration under the name."""

    def __init__(
        self,
        environment: str,
        name: str,
        configuration_id: str,
        version: int,
        *,
        pointer: str | None = None,
    ) -> None:
        super().__init__(
            "name-served",
            f"The environment {environment!r} serves another configuration under the name "
            f"{name!r}: {configuration_id}, version {version}. Release a version of that one "
            "with another name, or withdraw it there, first.",
            pointer=pointer,
        )


class SnapshotTooLargeError(StateError):
    """An environment would serve more than fits into one snapshot."""

    def __init__(self, environment: str, limit: int) -> None:
        super().__init__(
            "snapshot-too-large",
            f"The snapshot of the environment {environment!r} would have more than {limit} bytes. "
            "Withdraw configurations there first, or keep some in another application.",
        )


class StaleError(ConfigSvcError):
    """Something changed between reading and writing, so the write has to be tried again."""


class PreconditionFailedError(ConfigSvcError):
    """The resource is no longer what the caller read."""

    def __init__(
        self, current_etag: str, *, current_version: int | None = None, is_excluded: bool = False
    ) -> None:
        super().__init__(
            "The resource exists already, in a state that If-None-Match excludes."
            if is_excluded
            else "The resource has changed since it was read."
        )
        self.is_excluded = is_excluded
        """Whether the write was to happen only if the resource is in another state, or not there;
        otherwise it was to happen only in another state than this."""
        self.current_etag = current_etag
        """ETag of the resource as it is now, without quotes."""
        self.current_version = current_version
        """Version of the configuration as it is now; ``None`` for what has no versions."""


class SchemaTooCostlyError(ConfigSvcError):
    """Checking by a schema takes more than it may, whether by mistake or on purpose."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"takes more than {seconds:g} seconds or too much memory to check a document by"
        )
        self.seconds = seconds
        """How long checking may take, in seconds."""


class UnavailableError(ConfigSvcError):
    """The service cannot answer now, but may be able to soon."""

    def __init__(self, message: str, *, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """How long to wait before trying again, in seconds."""


class UnstorableValueError(ConfigSvcError):
    """The database refuses a value that no earlier check has refused."""

    def __init__(self) -> None:
        super().__init__("The database can't store a value of this request.")


def _article(noun: str) -> str:
    return "an" if noun[0] in "aeiou" else "a"
