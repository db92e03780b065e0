"""What a configuration has to be before it may be written or released.

A schema binds what is served, so documents are checked as each environment resolves them.
"""

from collections.abc import Iterable, Mapping, Sequence

from configsvc_server.domain.errors import FieldError, InvalidError, SchemaTooCostlyError
from configsvc_server.domain.jsontext import JsonObject, JsonValue, pointer
from configsvc_server.domain.models import ConfigurationDocument, Revision
from configsvc_server.domain.resolve import resolve
from configsvc_server.services.schemachecks import SchemaChecker

__all__ = ["DocumentChecks", "is_unbound"]


def is_unbound(document: ConfigurationDocument) -> bool:
    """Tell whether a document has nothing that other things could contradict."""
    return document.schema is None and not document.overlays


class DocumentChecks:
    """Checks documents by their schemas, and their overlays by the environments."""

    def __init__(self, schemas: SchemaChecker) -> None:
        self._schemas = schemas

    def check(
        self,
        document: ConfigurationDocument,
        *,
        current: ConfigurationDocument | None,
        environments: Sequence[str],
        served: Mapping[str, Revision],
        may_have_unknown_overlays: bool = False,
    ) -> None:
        """Check a document that is to be written.

        Args:
            document: the new document.
            current: the document that it replaces.
            environments: those of the application.
            served: what the environments serve that will not serve the new document at once.
            may_have_unknown_overlays: whether overlays for environments that are not there
                are all right, because the document was written when they were.

        Raises:
            InvalidError: the document may not be written.
        """
        if not may_have_unknown_overlays:
            self._check_overlays(document, current, environments)
        schema = document.schema
        if schema is None:
            return
        is_new = current is None or current.schema != schema
        try:
            if is_new:
                self._check_schema(schema)
            self._check_values(document, schema, environments)
            if is_new and served:
                self._check_served(schema, served)
        except SchemaTooCostlyError as error:
            raise InvalidError([FieldError("/schema", str(error))]) from None

    def check_release(
        self, revisions: Iterable[Revision], environment: str, *, pointer_to: str
    ) -> None:
        """Check that revisions meet their schemas in an environment.

        Args:
            revisions: those that are to be released.
            environment: where to.
            pointer_to: the member of the request that asks for it.

        Raises:
            InvalidError: one of them does not.
        """
        errors = []
        for revision in revisions:
            if revision.schema is None:
                continue
            value = resolve(revision.document, environment)
            try:
                (found,) = self._schemas.check_values(revision.schema, [value])
            except SchemaTooCostlyError as error:
                message = f"asks for {_name(revision)}, whose schema {error}"
                raise InvalidError([FieldError(pointer_to, message)]) from None
            errors += [
                FieldError(
                    pointer_to,
                    f"asks for {_name(revision)}, which breaks its schema in {environment!r}: "
                    f"{pointer(violation.path) or 'it'} {violation.message}",
                    schema_pointer=violation.schema_pointer,
                    environment=environment,
                )
                for violation in found
            ]
        if errors:
            raise InvalidError(errors)

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
            FieldError(pointer(["overlays", name]), message)
            for name in document.overlays
            if name not in known
        ]
        if errors:
            raise InvalidError(errors)

    def _check_schema(self, schema: JsonObject) -> None:
        errors = [
            FieldError("/schema" + pointer(violation.path), violation.message)
            for violation in self._schemas.check_schema(schema)
        ]
        if errors:
            raise InvalidError(errors)

    def _check_values(
        self, document: ConfigurationDocument, schema: JsonObject, environments: Sequence[str]
    ) -> None:
        # Without overlay they all serve the same.
        plain = next((name for name in environments if name not in document.overlays), None)
        names = [*([plain] if plain else []), *document.overlays]
        values = [resolve(document, name) for name in names]
        errors = [
            FieldError(
                _place(document, name, violation.path),
                violation.message,
                schema_pointer=violation.schema_pointer,
                environment=name,
            )
            for name, found in zip(names, self._schemas.check_values(schema, values), strict=True)
            for violation in found
        ]
        if errors:
            raise InvalidError(errors)

    def _check_served(self, schema: JsonObject, served: Mapping[str, Revision]) -> None:
        names = list(served)
        values = [resolve(served[name].document, name) for name in names]
        errors = [
            FieldError(
                "/schema",
                f"would be broken by version {served[name].version}, which {name!r} serves: "
                f"{pointer(violation.path) or 'it'} {violation.message}",
                schema_pointer=violation.schema_pointer,
                environment=name,
            )
            for name, found in zip(names, self._schemas.check_values(schema, values), strict=True)
            for violation in found
        ]
        if errors:
            raise InvalidError(errors)


def _place(document: ConfigurationDocument, environment: str, path: Sequence[str | int]) -> str:
    """Return the pointer to where a value of an environment comes from."""
    patch: JsonValue = document.overlays.get(environment)
    for step in path:
        # A patch that is no object has taken the place of everything below it.
        if not isinstance(patch, Mapping):
            break
        if step not in patch:
            return pointer(["config", *path])
        patch = patch[str(step)]
    is_patched = bool(path) and environment in document.overlays
    return pointer(["overlays", environment, *path] if is_patched else ["config", *path])


def _name(revision: Revision) -> str:
    return f"version {revision.version} of {revision.name!r}"
