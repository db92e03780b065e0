"""Document checks: rules that a configuration has to meet before it is written or released.

A schema binds what is served, so documents are checked as each environment resolves them.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from configsvc_server.domain.errors import (
    FieldError,
    InvalidError,
    SchemaTooCostlyError,
    UnavailableError,
)
from configsvc_server.domain.models import ConfigurationDocument, Revision
from configsvc_server.domain.overlays import resolve
from configsvc_server.domain.schema.cost import is_cheap
from configsvc_server.domain.schema.defaults import schema_defaults
from configsvc_server.domain.schema.violations import Violation
from configsvc_server.domain.strict_json import JsonObject, JsonValue, json_pointer
from configsvc_server.schema_checks.checker import SchemaChecker

__all__ = ["DocumentChecks"]


class DocumentChecks:
    """Checks documents by their schemas, and their overlays by the environments."""

    RELEASE_TIMEOUT = 20.0
    """Seconds that all checks of one release or promotion may take together."""

    def __init__(self, schemas: SchemaChecker) -> None:
        self._schemas = schemas

    def check(
        self,
        document: ConfigurationDocument,
        *,
        current: ConfigurationDocument | None,
        environments: Sequence[str],
        served: Mapping[str, Revision],
        caller: str,
        may_have_unknown_overlays: bool = False,
        holds_write_lock: bool = False,
    ) -> None:
        """Check a document that is to be written.

        Args:
            document: the new document.
            current: the document that it replaces.
            environments: those of the application.
            served: revisions in the environments that will not serve the new document at once.
            caller: who shares the processes of costly checks fairly with others.
            may_have_unknown_overlays: whether overlays for environments that do not exist are
                allowed, because the document was written when they did.
            holds_write_lock: whether all other writers are waiting, so that a check must be
                cheap.

        Raises:
            InvalidError: the document may not be written.
            UnavailableError: the check would take too long for the writers that wait.
        """
        if not may_have_unknown_overlays:
            self._check_overlays(document, current, environments)
        schema = document.schema
        if schema is None:
            return
        is_new = current is None or current.schema != schema
        try:
            if is_new:
                _require_cheap(schema, (), holds_write_lock)
                self._check_schema(schema, caller)
            self._check_values(document, schema, environments, caller, holds_write_lock)
            if is_new and served:
                self._check_served(schema, served, caller, holds_write_lock)
        except SchemaTooCostlyError as error:
            raise InvalidError([FieldError("/schema", str(error))]) from None

    def check_release(
        self,
        revisions: Iterable[Revision],
        environment: str,
        *,
        pointer: str,
        passed: set[tuple[str, int]],
        caller: str,
        holds_write_lock: bool,
    ) -> None:
        """Check that revisions meet their schemas in an environment.

        Args:
            revisions: those that are to be released.
            environment: the one to release them to.
            pointer: JSON Pointer to the field of the input that asks for it.
            passed: those, by configuration id and version, that have passed already; the others
                are added when they have.
            caller: who shares the processes of costly checks fairly with others.
            holds_write_lock: whether all other writers are waiting, so that a check must be
                cheap.

        Raises:
            InvalidError: one of them does not.
            UnavailableError: the check would take too long for the writers that wait.
        """
        errors = []
        deadline = time.monotonic() + self.RELEASE_TIMEOUT
        for revision in revisions:
            key = (revision.configuration_id, revision.version)
            if revision.schema is None or key in passed:
                continue
            if time.monotonic() > deadline:
                message = f"asks for more checks than fit in {self.RELEASE_TIMEOUT:.0f} seconds"
                raise InvalidError([FieldError(pointer, message)])
            found = self._violations(revision, environment, pointer, caller, holds_write_lock)
            if not found:
                passed.add(key)
            errors += [
                FieldError(
                    pointer,
                    f"asks for {_name(revision)}, which breaks its schema in {environment!r}: "
                    f"{json_pointer(violation.path) or 'it'} {violation.message}",
                    schema_pointer=violation.schema_pointer,
                    environments=(environment,),
                )
                for violation in found
            ]
        if errors:
            raise InvalidError(errors)

    def _violations(
        self,
        revision: Revision,
        environment: str,
        pointer: str,
        caller: str,
        holds_write_lock: bool,
    ) -> Sequence[Violation]:
        value = resolve(revision.document, environment)
        assert revision.schema is not None  # noqa: S101 - the caller has looked
        try:
            (found,) = self._violations_of(revision.schema, [value], caller, holds_write_lock)
        except SchemaTooCostlyError as error:
            message = f"asks for {_name(revision)}, whose schema {error}"
            raise InvalidError([FieldError(pointer, message)]) from None
        return found

    def _violations_of(
        self, schema: JsonObject, values: Sequence[JsonValue], caller: str, holds_write_lock: bool
    ) -> list[list[Violation]]:
        _require_cheap(schema, values, holds_write_lock)
        return self._schemas.check_values(schema, values, caller=caller)

    @staticmethod
    def _check_overlays(
        document: ConfigurationDocument,
        current: ConfigurationDocument | None,
        environments: Sequence[str],
    ) -> None:
        # Those of an environment that has been deleted meanwhile may stay.
        known = {*environments, *(current.overlays if current else ())}
        message = f"must be an environment of the application: {', '.join(environments)}"
        errors = [
            FieldError(json_pointer(["overlays", name]), message)
            for name in document.overlays
            if name not in known
        ]
        if errors:
            raise InvalidError(errors)

    def _check_schema(self, schema: JsonObject, caller: str) -> None:
        errors = [
            FieldError("/schema" + json_pointer(violation.path), violation.message)
            for violation in self._schemas.check_schema(schema, caller=caller)
        ]
        if errors:
            raise InvalidError(errors)
        # Refuses too many; what they are is of no interest here.
        schema_defaults(schema)

    def _check_values(
        self,
        document: ConfigurationDocument,
        schema: JsonObject,
        environments: Sequence[str],
        caller: str,
        holds_write_lock: bool,
    ) -> None:
        # Without overlay they all serve the same.
        groups = [tuple(name for name in environments if name not in document.overlays)]
        groups += [(name,) for name in document.overlays]
        groups = [names for names in groups if names]
        values = [resolve(document, names[0]) for names in groups]
        violations = self._violations_of(schema, values, caller, holds_write_lock)
        where: dict[FieldError, list[str]] = {}
        for names, found in zip(groups, violations, strict=True):
            for violation in found:
                error = FieldError(
                    _source(document, names[0], violation.path),
                    violation.message,
                    schema_pointer=violation.schema_pointer,
                )
                where.setdefault(error, []).extend(names)
        if where:
            raise InvalidError(
                [replace(error, environments=tuple(names)) for error, names in where.items()]
            )

    def _check_served(
        self,
        schema: JsonObject,
        served: Mapping[str, Revision],
        caller: str,
        holds_write_lock: bool,
    ) -> None:
        names = list(served)
        values = [resolve(served[name].document, name) for name in names]
        violations = self._violations_of(schema, values, caller, holds_write_lock)
        errors = [
            FieldError(
                "/schema",
                f"would be broken by version {served[name].version}, which {name!r} serves: "
                f"{json_pointer(violation.path) or 'it'} {violation.message}",
                schema_pointer=violation.schema_pointer,
                environments=(name,),
            )
            for name, found in zip(names, violations, strict=True)
            for violation in found
        ]
        if errors:
            raise InvalidError(errors)


def _source(document: ConfigurationDocument, environment: str, path: Sequence[str | int]) -> str:
    """Return the JSON Pointer to the member that a value in an environment comes from."""
    patch: JsonValue = document.overlays.get(environment)
    for step in path:
        # A patch that is not an object has taken the place of everything below it.
        if not isinstance(patch, Mapping):
            break
        if step not in patch:
            return json_pointer(["config", *path])
        patch = patch[str(step)]
    is_patched = bool(path) and environment in document.overlays
    return json_pointer(["overlays", environment, *path] if is_patched else ["config", *path])


def _require_cheap(schema: JsonObject, values: Sequence[JsonValue], holds_write_lock: bool) -> None:
    if holds_write_lock and not is_cheap(schema, values):
        raise UnavailableError(
            "Others change the same things faster than this schema can be checked.", retry_after=1
        )


def _name(revision: Revision) -> str:
    return f"version {revision.version} of {revision.name!r}"
