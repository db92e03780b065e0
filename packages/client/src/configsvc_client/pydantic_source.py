"""Source of pydantic-settings that reads a live view (extra ``pydantic-settings``)."""

from collections.abc import Iterator
from typing import Any

from pydantic import AliasChoices, AliasPath
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from configsvc_client._values.frozen import thaw
from configsvc_client._view.view import ConfigView

__all__ = ["ConfigSvcSettingsSource"]


class ConfigSvcSettingsSource(PydanticBaseSettingsSource):
    """Settings source that reads a live view at the time the settings are created.

    Each field takes the member of its name of one configuration, or, without ``path``, the
    configuration of its name. Where a field has an alias, that is its name here, as for
    pydantic: one of several (``AliasChoices``), or a way to the value (``AliasPath``); the name
    of the field counts too if ``populate_by_name`` or ``validate_by_name`` says so.
    ``env_prefix`` is for environment variables and means nothing here. Sources before it in
    ``settings_customise_sources`` win, those after it fill what it does not have.

    Example:
        >>> class Settings(BaseSettings):
        ...     pool_size: int = 5
        ...
        ...     @classmethod
        ...     def settings_customise_sources(
        ...         cls, settings_cls, init_settings, env_settings, dotenv_settings,
        ...         file_secret_settings
        ...     ):
        ...         source = ConfigSvcSettingsSource(settings_cls, app, path="database")
        ...         return init_settings, env_settings, source
        >>> Settings().pool_size
        10
    """

    def __init__(
        self, settings_cls: type[BaseSettings], view: ConfigView, *, path: str | None = None
    ) -> None:
        """Create a source; the view is read when settings are created.

        Args:
            settings_cls: the settings to fill.
            view: the live view of the application.
            path: name of a configuration, or a path into one.
        """
        super().__init__(settings_cls)
        self._view = view
        self._path = path

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return the value of a field, the key for it, and whether it needs decoding."""
        found = self._find(self._values(), field, field_name)
        if found is None:
            return None, field_name, False
        key, value = found
        return value, key, False

    def __call__(self) -> dict[str, Any]:
        """Return the values of the view for the settings, by name or alias."""
        found: dict[str, Any] = {}
        values = self._values()
        for name, field in self.settings_cls.model_fields.items():
            item = self._find(values, field, name)
            if item is not None:
                key, value = item
                found[key] = value
        return found

    def _find(self, values: dict[str, Any], field: FieldInfo, name: str) -> tuple[str, Any] | None:
        """Return the value of a field, with the key that all sources give such a value."""
        aliases = list(self._aliases(field, name))
        preferred = next((alias for alias in aliases if isinstance(alias, str)), None)
        for alias in aliases:
            if isinstance(alias, str):
                if alias in values:
                    return preferred or alias, thaw(values[alias])
                continue
            found = alias.search_dict_for_path(values)
            if found is not PydanticUndefined:
                if preferred is not None:
                    return preferred, thaw(found)
                # pydantic takes the way itself.
                first = str(alias.path[0])
                return first, thaw(values[first])
        return None

    def _aliases(self, field: FieldInfo, name: str) -> Iterator[str | AliasPath]:
        alias = field.validation_alias
        by_alias = self.config.get("validate_by_alias")
        if alias is not None and by_alias is not False:
            if isinstance(alias, AliasChoices):
                yield from alias.choices
            else:
                yield alias
        by_name = self.config.get("populate_by_name") or self.config.get("validate_by_name")
        if alias is None or by_alias is False or by_name:
            yield name

    def _values(self) -> dict[str, Any]:
        snapshot = self._view.snapshot()
        if self._path is None:
            return dict(snapshot.configs)
        values = self._view.get(self._path, {})
        if not isinstance(values, dict):
            kind = type(values).__name__
            raise TypeError(f"{self._path!r} is of type {kind}, and no object for settings.")
        return values

    def __repr__(self) -> str:
        return f"ConfigSvcSettingsSource({self._view!r}, path={self._path!r})"
