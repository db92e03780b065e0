"""Settings of a client."""

from typing import Any

import pytest

from configsvc_client import ConfigClient


@pytest.mark.parametrize(
    ("url", "options", "message"),
    [
        ("config.internal", {}, "url must be like"),
        ("ftp://config.internal", {}, "url must be like"),
        ("https://", {}, "url must be like"),
        ("https://config.internal/?a=b", {}, "url must end before"),
        ("http://a", {"poll_interval": 0}, "poll_interval must be"),
        ("http://a", {"stale_after": -1}, "stale_after must be"),
        ("http://a", {"start_timeout": -1}, "start_timeout can't be negative"),
        ("http://a", {"retries": -1}, "retries can't be negative"),
        ("http://a", {"timeout": 0}, "timeout must be"),
        ("http://a", {"timeout": (3, 0)}, "timeout must be"),
        ("http://a", {"long_poll": 61}, "long_poll must be"),
        ("http://a:port", {}, "url must be like"),
        ("http://a", {"total_timeout": 0}, "total_timeout must be"),
        ("http://a", {"max_response_size": 0}, "max_response_size must be"),
        ("http://a", {"share_polls": True}, "share_polls needs a cache_dir"),
        ("http://a", {"verify": "missing.pem"}, "verify: there is no file 'missing.pem'"),
        ("http://a", {"cert": "missing.pem"}, "cert: there is no file 'missing.pem'"),
        ("http://a", {"cert": (__file__, "missing.key")}, "cert: there is no file 'missing.key'"),
    ],
)
def test_an_impossible_setting_is_refused_with_what_is_possible(
    url: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        ConfigClient(url, **options)


def test_without_any_url_the_variable_is_named() -> None:
    with pytest.raises(ValueError, match="CONFIGSVC_URL"):
        ConfigClient()


def test_the_environment_gives_what_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONFIGSVC_URL", "https://config.internal/")
    assert repr(ConfigClient()) == "<ConfigClient https://config.internal>"


def test_the_token_is_not_shown() -> None:
    client = ConfigClient("http://a", token="secret")
    assert "secret" not in repr(client) + repr(client._options)
