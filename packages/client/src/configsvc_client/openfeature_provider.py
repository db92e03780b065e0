"""OpenFeature provider that reads flags from a live view (extra ``openfeature``).

It is for applications that have flags among their configuration: a flag is the value at a path,
the same for everybody. There is no targeting, so the evaluation context is not looked at.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol, TypeVar, cast

from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEventDetails
from openfeature.exception import ErrorCode, GeneralError, ProviderNotReadyError
from openfeature.flag_evaluation import (
    FlagMetadata,
    FlagResolutionDetails,
    FlagValueType,
    Reason,
)
from openfeature.provider import AbstractProvider, Metadata

from configsvc_client._values.diff import compare
from configsvc_client._values.paths import find, locate, steps_of
from configsvc_client._values.snapshot import Snapshot
from configsvc_client._view.listeners import Change, Subscription
from configsvc_client._view.runtime import ViewRuntime
from configsvc_client._view.status import Status, StatusSubscription
from configsvc_client.errors import ClosedError, ConfigSvcError, NotReadyError

__all__ = ["ConfigSvcProvider"]

_T = TypeVar("_T")
_NAMES: Final[Mapping[type, str]] = {
    bool: "boolean",
    str: "string",
    int: "integer",
    float: "number",
    dict: "object",
    list: "array",
}
_Tree = Sequence[FlagValueType] | Mapping[str, FlagValueType]


class _View(Protocol):
    @property
    def _runtime(self) -> ViewRuntime: ...


class ConfigSvcProvider(AbstractProvider):
    """Provider of the flags in a live view; a key is a path, as :meth:`ConfigView.get` takes it.

    No evaluation waits for a server. The reason is ``STATIC``, ``STALE`` where a newer value may
    exist unnoticed, or ``CACHED`` where nothing but the copy on disk is known. The metadata of a
    flag have the version of the snapshot and the revision of the configuration.

    Example:
        >>> from openfeature import api
        >>> api.set_provider_and_wait(ConfigSvcProvider(app))
        >>> api.get_client().get_integer_value("database.pool_size", 5)
        10
        >>> details = api.get_client().get_boolean_details("database.fast", False)
        >>> details.value, details.error_code.value
        (False, 'FLAG_NOT_FOUND')
        >>> api.clear_providers()
    """

    NAME: Final = "configsvc"

    def __init__(self, view: _View) -> None:
        """Create a provider, which starts the view when it is set.

        Args:
            view: the live view of the application; it stays open when the provider is shut down.
        """
        super().__init__()
        self._runtime = view._runtime
        self._subscriptions: list[Subscription | StatusSubscription] = []
        self._state: str | None = None

    def get_metadata(self) -> Metadata:
        """Return the name of the provider.

        Example:
            >>> ConfigSvcProvider(app).get_metadata().name
            'configsvc'
        """
        return Metadata(self.NAME)

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        """Start the view, and wait for its first snapshot until ``start_timeout`` is over.

        Events are emitted from here on, also when the first snapshot comes later.

        Raises:
            ProviderNotReadyError: none came in time.
            GeneralError: the server refuses, or the view is closed.

        Example:
            >>> provider = ConfigSvcProvider(app)
            >>> provider.initialize(EvaluationContext())
            >>> provider.resolve_integer_details("database.pool_size", 5).reason.value
            'STATIC'
        """
        self.shutdown()
        runtime = self._runtime
        self._subscriptions = [
            runtime.listeners.subscribe(self._emit_changes, "", owner=runtime),
            runtime.on_status(self._note),
        ]
        try:
            runtime.ready()
        except NotReadyError as error:
            self._state = "error"
            raise ProviderNotReadyError(str(error)) from error
        except ConfigSvcError as error:
            self._state = "error"
            raise GeneralError(str(error)) from error
        # The SDK tells that it is ready; what is stale all the same, the next look tells.
        self._state = "live"

    def shutdown(self) -> None:
        """Emit no more events; the view stays open.

        Example:
            >>> ConfigSvcProvider(app).shutdown()
        """
        self._state = None
        for subscription in self._subscriptions:
            subscription.cancel()
        self._subscriptions = []

    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        """Return the value at a path that is true or false.

        Example:
            >>> provider = ConfigSvcProvider(app)
            >>> provider.resolve_boolean_details("database.host", True).error_message
            "'database.host' is of type string, not boolean."
        """
        return self._resolve(flag_key, default_value, bool)

    def resolve_string_details(
        self,
        flag_key: str,
        default_value: str,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[str]:
        """Return the value at a path that is a string.

        Example:
            >>> ConfigSvcProvider(app).resolve_string_details("database.host", "").value
            'db1'
        """
        return self._resolve(flag_key, default_value, str)

    def resolve_integer_details(
        self,
        flag_key: str,
        default_value: int,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[int]:
        """Return the value at a path that is an integer.

        Example:
            >>> details = ConfigSvcProvider(app).resolve_integer_details("database.port", 0)
            >>> details.value, details.flag_metadata["revision"]
            (5432, 3)
        """
        return self._resolve(flag_key, default_value, int)

    def resolve_float_details(
        self,
        flag_key: str,
        default_value: float,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[float]:
        """Return the value at a path that is a number.

        Example:
            >>> ConfigSvcProvider(app).resolve_float_details("limits.per_minute", 1.5).value
            60.0
        """
        return self._resolve(flag_key, default_value, float)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: _Tree,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[_Tree]:
        """Return the value at a path that is an object or an array; it is read-only.

        Example:
            >>> ConfigSvcProvider(app).resolve_object_details("limits", {}).value
            {'per_minute': 60}
        """
        return self._resolve(flag_key, default_value, dict, list)

    def _resolve(self, key: str, default: _T, *kinds: type) -> FlagResolutionDetails[_T]:
        runtime = self._runtime
        try:
            # It waits for nothing, and has a forked child start its own updates.
            runtime.wake()
        except ClosedError as error:
            return _failure(default, ErrorCode.PROVIDER_NOT_READY, str(error))
        snapshot = runtime.store.held
        if snapshot is None:
            return _failure(default, ErrorCode.PROVIDER_NOT_READY, str(runtime.not_ready()))
        status = runtime.status()
        self._note(status)
        try:
            value = find(snapshot.configs, key)
        except KeyError:
            return _failure(default, ErrorCode.FLAG_NOT_FOUND, f"There is nothing at {key!r}.")
        converted = _convert(value, kinds)
        if converted is None:
            expected = " or ".join(_NAMES[kind] for kind in kinds)
            message = f"{key!r} is of type {_name(value)}, not {expected}."
            return _failure(default, ErrorCode.TYPE_MISMATCH, message)
        return FlagResolutionDetails(
            cast("_T", converted),
            reason=_reason(status),
            flag_metadata=_metadata(snapshot, key),
        )

    def _note(self, status: Status) -> None:
        """Emit the event of a state, if the one before was another."""
        before, runtime = self._state, self._runtime
        if before is None or not runtime.is_of(status):
            return
        with_snapshot = "live" if status.state == "live" else "stale"
        state = "error" if status.version is None else with_snapshot
        if state == before:
            return
        self._state = state
        error = status.last_error
        message = str(error) if error is not None else f"The view is {status.state}."
        if state == "live":
            self.emit_provider_ready(ProviderEventDetails())
        elif state == "stale":
            self.emit_provider_stale(ProviderEventDetails(message=message))
        else:
            code = ErrorCode.PROVIDER_NOT_READY
            self.emit_provider_error(ProviderEventDetails(message=message, error_code=code))

    def _emit_changes(self, change: Change) -> None:
        if self._state is None:
            return
        names = {**change.before.configs, **change.after.configs}
        found = compare(change.before, change.after)
        flags = [_key(names, difference.path) for difference in found]
        self.emit_provider_configuration_changed(ProviderEventDetails(flags_changed=flags))


def _convert(value: object, kinds: tuple[type, ...]) -> object:
    """Return a value as one of some kinds; ``None`` where it is of another."""
    # True is an int in Python, and in nothing else.
    if isinstance(value, bool) and bool not in kinds:
        return None
    if isinstance(value, int) and float in kinds:
        try:
            return float(value)
        except OverflowError:
            return None
    return value if isinstance(value, kinds) else None


def _name(value: object) -> str:
    """Return the type of a value, as JSON calls it."""
    return next((name for kind, name in _NAMES.items() if isinstance(value, kind)), "null")


def _failure(default: _T, code: ErrorCode, message: str) -> FlagResolutionDetails[_T]:
    return FlagResolutionDetails(
        default, error_code=code, error_message=message, reason=Reason.ERROR
    )


def _reason(status: Status) -> Reason:
    if status.source == "disk":
        return Reason.CACHED
    return Reason.STALE if status.stale else Reason.STATIC


def _metadata(snapshot: Snapshot, key: str) -> FlagMetadata:
    name, _ = locate(snapshot.configs, key)
    return {"version": snapshot.version or "", "revision": snapshot.provenance(name).version}


def _key(names: Mapping[str, object], pointer: str) -> str:
    """Return the dotted path of a value, or its JSON Pointer where that leads elsewhere."""
    name, *steps = steps_of(pointer)
    dotted = ".".join([name, *steps])
    return dotted if locate(names, dotted) == (name, steps) else pointer
