"""Errors of the client, as one small hierarchy under :class:`ConfigSvcError`."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

__all__ = [
    "AuthError",
    "BindError",
    "ClosedError",
    "ConfigFileError",
    "ConfigSvcError",
    "ConflictError",
    "FieldProblem",
    "MissingRole",
    "NotFoundError",
    "NotReadyError",
    "ServerError",
    "TransportError",
    "ValidationError",
]


class FieldProblem(NamedTuple):
    """Problem of one member of a document, parameter or header.

    Example:
        >>> FieldProblem("/config/pool_size", "must be an integer")
        FieldProblem(pointer='/config/pool_size', message='must be an integer', location='body')
    """

    pointer: str
    """JSON Pointer (RFC 6901) to the member, or ``/name`` of a parameter or header."""

    message: str
    """Expectation that is not met, to be read after the pointer."""

    location: str = "body"
    """Part of the request with the member: ``body``, ``query``, ``path`` or ``header``."""

    schema_pointer: str | None = None
    """JSON Pointer to the keyword of the configuration's own schema that it breaks."""

    environments: tuple[str, ...] = ()
    """Names of the environments whose values break the schema."""

    def __repr__(self) -> str:
        shown = [f"pointer={self.pointer!r}, message={self.message!r}, location={self.location!r}"]
        if self.schema_pointer is not None:
            shown.append(f"schema_pointer={self.schema_pointer!r}")
        if self.environments:
            shown.append(f"environments={self.environments!r}")
        return f"FieldProblem({', '.join(shown)})"


class MissingRole(NamedTuple):
    """Role that a request takes and that its token does not have, and where it takes it.

    Example:
        >>> missing = MissingRole("releaser", "01K9YV5C7W3V0Y1Q3W6M8N2B4E", "shop", "prod")
        >>> print(f"ask for the role {missing}")
        ask for the role releaser on shop/prod
    """

    role: str
    """``reader``, ``editor``, ``releaser`` or ``admin``."""

    application_id: str | None = None
    """Id of the application; ``None`` where it takes the role on everything."""

    application: str | None = None
    """Name of the application; ``None`` as for ``application_id``."""

    environment: str | None = None
    """Name of the environment; ``None`` where it takes the role on the whole application."""

    def __str__(self) -> str:
        application = self.application or self.application_id
        if application is None:
            return f"{self.role} on everything"
        environment = "" if self.environment is None else f"/{self.environment}"
        return f"{self.role} on {application}{environment}"


class ConfigSvcError(Exception):
    """Base of every error that this package raises on purpose.

    Example:
        >>> try:
        ...     client.applications.get("biling")
        ... except ConfigSvcError as error:
        ...     print(error.status, error.request_id)
        404 request-...
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
        """HTTP status of the response; ``None`` where there was none."""
        self.problem: Mapping[str, Any] = problem or {}
        """Problem document (RFC 9457) of the response; empty where there was none."""
        self.request_id = request_id
        """Id of the request in the log of the server; ``None`` where no request was made."""

    def __str__(self) -> str:
        # Whoever reads it in a log has to find the request in that of the server.
        text = super().__str__()
        return text if self.request_id is None else f"{text} (request {self.request_id})"

    def __copy__(self) -> Self:
        """Return an equal error that has not been raised yet.

        An error that is kept and raised again and again would collect the traceback of each
        time, with all that the frames in it hold. Its copy has the same cause.
        """
        copied = type(self)(*self.args)
        copied.__dict__.update(self.__dict__)
        if self.__cause__ is not None:
            copied.__cause__ = self.__cause__
        return copied


class TransportError(ConfigSvcError):
    """Lack of a response: no connection, a timeout, a TLS failure, a response cut short.

    Example:
        >>> client.fail(TransportError("the server is away"))  # a FakeConfigClient can
        >>> try:
        ...     app.refresh()
        ... except TransportError as error:
        ...     print(f"{error}; the last snapshot goes on serving: {app['database']['pool_size']}")
        the server is away; the last snapshot goes on serving: 10
    """


class ServerError(ConfigSvcError):
    """Failure of the server: 5xx, 429, or a response that breaks the contract.

    Example:
        >>> client.fail(ServerError("the server is overloaded"))  # a FakeConfigClient can
        >>> try:
        ...     client.applications.create(name="mail")
        ... except ServerError as error:
        ...     print(f"{error}; try again in {error.retry_after or 5} seconds")
        the server is overloaded; try again in 5 seconds
    """

    retry_after: float | None = None
    """Seconds to wait before another attempt, as the server asks; ``None`` where it does not."""


class NotFoundError(ConfigSvcError):
    """Resource that does not exist (404).

    Example:
        >>> try:
        ...     client.configurations.get("01K9YV5C7W3V0Y1Q3W6M8N2B4D")
        ... except NotFoundError as error:
        ...     print(error)
        GET /api/v1/configurations/01K9YV5C7W3V0Y1Q3W6M8N2B4D → 404: There is no configuration ...
    """


class ConflictError(ConfigSvcError):
    """Conflict with the state of the server (409, such as a taken name) or another writer (412).

    Example:
        >>> client.configurations.update(database, config={"pool_size": 20}).version
        4
        >>> try:
        ...     client.configurations.update(database, config={"pool_size": 30})
        ... except ConflictError as error:
        ...     print(f"read at {error.read_version}, now at {error.current_version}")
        read at 3, now at 4
    """

    read_version: int | None = None
    """Version that the write was based on; ``None`` where it named none."""
    current_version: int | None = None
    """Version on the server; ``None`` where the resource has no versions."""
    current_etag: str | None = None
    """ETag on the server, with its quotes; ``None`` where a name or id is taken."""


class ValidationError(ConfigSvcError):
    """Input that the server refuses: 400, 413, 415, 422 and other 4xx.

    Example:
        >>> try:
        ...     client.applications.create(name="")
        ... except ValidationError as error:
        ...     for problem in error.errors:
        ...         print(problem.pointer, problem.message)
        /name must have 1 to 256 characters
    """

    errors: Sequence[FieldProblem] = ()
    """Problems, each with the member that it is of."""


class AuthError(ConfigSvcError):
    """Token that is missing or wrong (401), or does not allow the request (403).

    Example:
        >>> client.fail(AuthError("the token is missing"))  # a FakeConfigClient can
        >>> try:
        ...     client.applications.create(name="mail")
        ... except AuthError as error:
        ...     print(f"{error}; is CONFIGSVC_TOKEN set?")
        the token is missing; is CONFIGSVC_TOKEN set?
        >>> client.fail(None)
        >>> created = client.tokens.create(name="app", grants=[Grant("reader", "billing")])
        >>> try:
        ...     client.as_token(created.token).releases.release(database, "prod")
        ... except AuthError as error:
        ...     print(f"{error.status}: ask for the role {error.missing}")
        403: ask for the role releaser on billing/prod
    """

    missing: MissingRole | None = None
    """Role that is missing (403); ``None`` where it is the token that is missing or wrong."""
    retry_after: float | None = None
    """Seconds to wait before another attempt, as the server asks; ``None`` where it does not."""


class NotReadyError(ConfigSvcError):
    """Lack of a first snapshot in a live view; the cause is the last failure.

    Example:
        >>> client.fail(TransportError("the server is away"))  # a FakeConfigClient can
        >>> try:
        ...     client.application("shop").wait_until_ready(timeout=0.1)
        ... except NotReadyError as error:
        ...     print(repr(error.__cause__))
        TransportError('the server is away')
    """


class ClosedError(ConfigSvcError):
    """First use of a client or view after it was closed.

    Example:
        >>> client.close()
        >>> client.application("billing")
        Traceback (most recent call last):
          ...
        configsvc_client.errors.ClosedError: This client is closed.
    """


class BindError(ConfigSvcError):
    """Configuration that does not fit the type that it is bound to.

    Example:
        >>> try:
        ...     app.bind("limits", DatabaseSettings)
        ... except BindError as error:
        ...     for problem in error.errors:
        ...         print(problem.pointer, problem.message)
        /host is missing
    """

    errors: Sequence[FieldProblem] = ()
    """Problems, each with the member that it is of."""


class ConfigFileError(ConfigSvcError):
    """File of configuration that can't be read, or has what JSON can't have.

    Example:
        >>> try:
        ...     ConfigClient("file:./no such folder").application("billing").refresh()
        ... except ConfigFileError as error:
        ...     print(error.file, error.line)
        /.../no such folder None
    """

    file: str | None = None
    """Path of the file; ``None`` where the values are from none."""
    line: int | None = None
    """Line of the problem, from 1; ``None`` where it has none."""
    column: int | None = None
    """Column of the problem, from 1; ``None`` where it has none."""
    pointer: str | None = None
    """JSON Pointer to the value that is the problem; ``None`` where it is not one value."""
