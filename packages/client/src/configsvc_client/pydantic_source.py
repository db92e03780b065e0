"""Source of pydantic-settings that reads a live view (extra ``pydantic-settings``)."""

import copy
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from configsvc_client._view.view import ConfigView

__all__ = ["ConfigSvcSettingsSource"]


class ConfigSvcSettingsSource(PydanticBaseSettingsSource):
    """Settings source that reads a live view at the time the settings are created.

    Each field takes the member of its name (or alias) of one configuration, or, without
    ``path``, the configuration of its name. Sources before it in
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
        """Return the value of a field, its key, and whether it needs decoding."""
        values = self._values()
        for key in (field.validation_alias, field.alias, field_name):
            if isinstance(key, str) and key in values:
                return copy.deepcopy(values[key]), key, False
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the values of the view for the settings, by name or alias."""
        found: dict[str, Any] = {}
        values = self._values()
        for name, field in self.settings_cls.model_fields.items():
            value, key, _ = self.get_field_value(field, name)
            if key in values:
                found[key] = value
        return found

    def _values(self) -> dict[str, Any]:
        snapshot = self._view.snapshot()
        if self._path is None:
            return dict(snapshot.configs)
        values = self._view.get(self._path, {})
        if not isinstance(values, dict):
            raise TypeError(f"{self._path!r} is {values!r}, and no object to fill settings from.")
        return values

    def __repr__(self) -> str:
        return f"ConfigSvcSettingsSource({self._view!r}, path={self._path!r})"
