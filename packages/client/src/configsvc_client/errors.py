"""What can go wrong, as one small hierarchy under :class:`ConfigSvcError`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = [
    "AuthError",
    "BindError",
    "ClosedError",
    "ConfigSvcError",
    "ConflictError",
    "FieldProblem",
    "NotFoundError",
    "NotReadyError",
    "ServerError",
    "TransportError",
    "ValidationError",
]


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One thing that is wrong with a document, and where.

    Example:
        >>> FieldProblem("/config/pool_size", "must be an integer")
        FieldProblem(pointer='/config/pool_size', message='must be an integer', location='body')
    """

    pointer: str
    """JSON Pointer (RFC 6901) to the member, or ``/name`` of a parameter or header."""

    message: str
    """What was expected, to be read after the pointer."""

    location: str = "body"
    """Where the member is: ``body``, ``query``, ``path`` or ``header``."""

    schema_pointer: str | None = None
    """JSON Pointer to the keyword of the configuration's own schema that it breaks."""

    environments: tuple[str, ...] = ()
    """The environments whose values break the schema."""

    def __repr__(self) -> str:
        shown = [f"pointer={self.pointer!r}, message={self.message!r}, location={self.location!r}"]
        if self.schema_pointer is not None:
            shown.append(f"schema_pointer={self.schema_pointer!r}")
        if self.environments:
            shown.append(f"environments={self.environments!r}")
        return f"FieldProblem({', '.join(shown)})"


class ConfigSvcError(Exception):
    """Base of every error that this package raises on purpose.

    Example:
        >>> try:
        ...     client.applications.get("biling")
        ... except ConfigSvcError as error:
        ...     print(error.status, error.request_id)
    """

    def __init__(
        self,
        message: str,
        *,
        method: str | None = None,
        path: str | None = None,
        status: int | None = None,
        problem: Mapping[str, Any] | None = None,
        request_id: str | None = None,
    ) -> None:
        # Only the message is positional, so that errors survive pickling between processes.
        super().__init__(message)
        self.method = method
        """HTTP method of the request; ``None`` where no request was made."""
        self.path = path
        """Path of the request; ``None`` where no request was made."""
        self.status = status
        """HTTP status of the answer; ``None`` where there was none."""
        self.problem: Mapping[str, Any] = problem or {}
        """The problem document (RFC 9457) of the answer; empty where there was none."""
        self.request_id = request_id
        """Finds the request in the server's log."""


class TransportError(ConfigSvcError):
    """No answer came: no connection, a time-out, a TLS failure, an answer cut short.

    Example:
        >>> try:
        ...     app.refresh()
        ... except TransportError:
        ...     pass  # what is in memory goes on serving
    """


class ServerError(ConfigSvcError):
    """The server could not do its part: 5xx, 429, or an answer that breaks the contract.

    Example:
        >>> try:
        ...     client.applications.create(name="billing")
        ... except ServerError as error:
        ...     print("try again in", error.retry_after, "seconds")
    """

    retry_after: float | None = None
    """How long the server asks to be left alone, in seconds; ``None`` where it didn't say."""


class NotFoundError(ConfigSvcError):
    """What was asked for does not exist (404).

    Example:
        >>> try:
        ...     client.configurations.get(id)
        ... except NotFoundError as error:
        ...     print(error)
    """


class ConflictError(ConfigSvcError):
    """The state of things forbids it (409, such as a taken name), or somebody was faster (412).

    Example:
        >>> try:
        ...     client.configurations.update(configuration, config={"pool_size": 20})
        ... except ConflictError as error:
        ...     print(f"read at {error.read_version}, now at {error.current_version}")
    """

    read_version: int | None = None
    """The version that the write was based on; ``None`` where it named none."""
    current_version: int | None = None
    """The version on the server; ``None`` where the thing has no versions."""
    current_etag: str | None = None
    """The ETag on the server, with its quotes; ``None`` where a name or id is taken."""


class ValidationError(ConfigSvcError):
    """The server refuses the input: 400, 413, 415, 422 and other 4xx.

    Example:
        >>> try:
        ...     client.applications.create(name="")
        ... except ValidationError as error:
        ...     for problem in error.errors:
        ...         print(problem.pointer, problem.message)
    """

    errors: Sequence[FieldProblem] = ()
    """What is wrong with which member."""


class AuthError(ConfigSvcError):
    """The token is missing or wrong (401), or does not allow this (403).

    Example:
        >>> try:
        ...     client.applications.create(name="billing")
        ... except AuthError:
        ...     print("is CONFIGSVC_TOKEN set?")
    """


class NotReadyError(ConfigSvcError):
    """A live view has no configuration yet; its cause is what went wrong last.

    Example:
        >>> try:
        ...     app.wait_until_ready(timeout=5)
        ... except NotReadyError as error:
        ...     print(error.__cause__)
    """


class ClosedError(ConfigSvcError):
    """A client or view was used for the first time after it was closed.

    Example:
        >>> client.close()
        >>> client.applications.get("billing")
        Traceback (most recent call last):
        configsvc_client.errors.ClosedError: This client is closed.
    """


class BindError(ConfigSvcError):
    """A configuration does not fit the type that it is bound to.

    Example:
        >>> try:
        ...     settings = app.bind("database", DatabaseSettings)
        ... except BindError as error:
        ...     for problem in error.errors:
        ...         print(problem.pointer, problem.message)
    """

    errors: Sequence[FieldProblem] = ()
    """What does not fit, and where."""
