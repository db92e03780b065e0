"""Configurations as a source of pydantic-settings."""

from typing import Any, ClassVar, cast

import pytest
from pydantic import AliasChoices, AliasPath, BaseModel, Field, create_model
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from configsvc_client import ConfigView
from configsvc_client.pydantic_source import ConfigSvcSettingsSource
from configsvc_client.testing import FakeConfigClient


class Pool(BaseModel):
    size: int
    hosts: list[str] = []


class FromView(BaseSettings):
    view: ClassVar[ConfigView]
    path: ClassVar[str | None] = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        source = ConfigSvcSettingsSource(settings_cls, cls.view, path=cls.path)
        return init_settings, env_settings, source


@pytest.fixture
def view() -> ConfigView:
    client = FakeConfigClient(
        {"billing": {"database": {"pool": {"size": 10}, "name": "b"}, "pool": {"size": 3}}}
    )
    return client.application("billing")


def test_fields_are_filled_from_a_configuration(view: ConfigView) -> None:
    class Settings(FromView):
        path = "database"
        pool: Pool
        name: str
        missing: int = 5

    Settings.view = view
    settings = Settings()  # type: ignore[call-arg]
    assert (settings.pool, settings.name, settings.missing) == (Pool(size=10), "b", 5)


def test_without_a_path_fields_are_configurations(view: ConfigView) -> None:
    class Settings(FromView):
        pool: Pool

    Settings.view = view
    assert Settings().pool.size == 3  # type: ignore[call-arg]


def test_aliases_are_looked_up(view: ConfigView) -> None:
    class Settings(FromView):
        path = "database"
        title: str = Field(alias="name")

    Settings.view = view
    assert Settings().title == "b"  # type: ignore[call-arg]


ALIASES: dict[str, tuple[Any, dict[str, Any], str | None]] = {
    "an alias": (Field(None, alias="title"), {}, "by alias"),
    "a validation alias": (Field(None, validation_alias="title"), {}, "by alias"),
    "first choice": (
        Field(None, validation_alias=AliasChoices("title", "word")),
        {},
        "by alias",
    ),
    "a later choice": (Field(None, validation_alias=AliasChoices("none", "word")), {}, "by word"),
    "a path": (Field(None, validation_alias=AliasPath("list", 1, "deep")), {}, "by path"),
    "a path that leads nowhere": (Field(None, validation_alias=AliasPath("list", 7)), {}, None),
    "a path among the choices": (
        Field(None, validation_alias=AliasChoices("none", AliasPath("list", 1, "deep"))),
        {},
        "by path",
    ),
    "no name beside an alias": (Field(None, alias="none"), {}, None),
    "populate_by_name": (Field(None, alias="none"), {"populate_by_name": True}, "by name"),
    "validate_by_name": (Field(None, alias="none"), {"validate_by_name": True}, "by name"),
    "only by name": (
        Field(None, alias="title"),
        {"validate_by_alias": False, "validate_by_name": True},
        "by name",
    ),
    "alias before name": (
        Field(None, alias="title"),
        {"populate_by_name": True},
        "by alias",
    ),
    "an alias generator": (Field(None), {"alias_generator": str.upper}, "by generator"),
    "a prefix of variables": (Field(None), {"env_prefix": "APP_"}, "by name"),
}


@pytest.mark.parametrize("case", ALIASES)
def test_aliases_mean_what_they_mean_to_pydantic(case: str) -> None:
    field, config, expected = ALIASES[case]
    values = {
        "name": "by name",
        "title": "by alias",
        "word": "by word",
        "NAME": "by generator",
        "APP_name": "by prefix",
        "list": ["a", {"deep": "by path"}],
    }
    client = FakeConfigClient({"billing": {"all": values}})

    class Configured(FromView):
        model_config = cast("SettingsConfigDict", {"extra": "ignore", **config})

    settings: Any = create_model("Settings", __base__=Configured, name=(str | None, field))
    settings.view, settings.path = client.application("billing"), "all"
    assert settings().name == expected


def test_a_source_before_it_wins_under_another_alias(
    view: ConfigView, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Settings(FromView):
        path = "database"
        title: str = Field(validation_alias=AliasChoices("name", "TITLE"))

    Settings.view = view
    assert Settings(TITLE="given").title == "given"  # type: ignore[call-arg]
    monkeypatch.setenv("TITLE", "from the environment")
    assert Settings().title == "from the environment"  # type: ignore[call-arg]


def test_sources_before_it_win(view: ConfigView, monkeypatch: pytest.MonkeyPatch) -> None:
    class Settings(FromView):
        path = "database"
        name: str

    Settings.view = view
    monkeypatch.setenv("NAME", "from the environment")
    assert Settings().name == "from the environment"  # type: ignore[call-arg]


def test_settings_made_later_have_later_values() -> None:
    client = FakeConfigClient({"billing": {"database": {"name": "a"}}})

    class Settings(FromView):
        path = "database"
        name: str

    Settings.view = client.application("billing")
    before = Settings()  # type: ignore[call-arg]
    client.set("billing", "database", {"name": "b"})
    assert (before.name, Settings().name) == ("a", "b")  # type: ignore[call-arg]


def test_a_path_to_no_object_is_an_error(view: ConfigView) -> None:
    class Settings(FromView):
        path = "database.name"
        name: str

    Settings.view = view
    with pytest.raises(TypeError, match=r"'database\.name' is of type str"):
        Settings()  # type: ignore[call-arg]


def test_it_says_what_it_is(view: ConfigView) -> None:
    source = ConfigSvcSettingsSource(FromView, view, path="database")
    assert "billing/default" in repr(source)
