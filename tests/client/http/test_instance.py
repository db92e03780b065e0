"""Instance header: who a client is to its server."""

import os
import re
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configsvc_client import ConfigClient
from configsvc_client._http.instance import Instance
from configsvc_client.options import Options

_STRING = r'"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"'
DICTIONARY = re.compile(rf"(?:[a-z]+=(?:{_STRING}|\d+))(?:, [a-z]+=(?:{_STRING}|\d+))*")
"""RFC 8941 dictionaries of strings and integers."""


@pytest.fixture(autouse=True)
def _no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONFIGSVC_SERVICE", "CONFIGSVC_SERVICE_VERSION", "OTEL_SERVICE_NAME"):
        monkeypatch.delenv(name, raising=False)


def header(**options: Any) -> str:
    return Instance(Options(url="http://a", **options)).header(interval=30)


def test_the_header_has_all_that_is_known() -> None:
    made = header(service="checkout", service_version="1.4.2", instance_id="web-3")
    assert re.fullmatch(
        r'id="web-3", service="checkout", version="1\.4\.2",'
        r' sdk="configsvc-client/[^"]+", host="[^"]+", interval=30',
        made,
    )


def test_it_is_made_once() -> None:
    instance = Instance(Options(url="http://a"))
    assert instance.header(interval=30) is instance.header(interval=30)


def test_processes_and_rejections_are_told_where_there_are_any() -> None:
    instance = Instance(Options(url="http://a"))
    assert "processes" not in instance.header(interval=30)
    assert instance.header(interval=30, processes=3, rejects=0).endswith("processes=3, rejects=0")


@given(st.text(max_size=300), st.text(max_size=300))
def test_it_is_a_dictionary_whatever_the_names_are(service: str, version: str) -> None:
    made = header(service=service, service_version=version)
    assert DICTIONARY.fullmatch(made)
    assert len(made) <= 1024


def test_without_a_service_the_program_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/gunicorn", "app"])
    assert 'service="gunicorn"' in header()
    monkeypatch.setattr(sys, "argv", ["/srv/billing/worker/__main__.py"])
    assert 'service="worker"' in header()
    monkeypatch.setenv("OTEL_SERVICE_NAME", "billing")
    assert 'service="billing"' in header()
    monkeypatch.setenv("CONFIGSVC_SERVICE", "checkout")
    monkeypatch.setenv("CONFIGSVC_SERVICE_VERSION", "7")
    assert 'service="checkout", version="7"' in header()


def test_an_id_is_random_and_stays() -> None:
    one, other = ConfigClient("http://a"), ConfigClient("http://a")
    assert re.fullmatch(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", one.instance_id)
    assert one.instance_id == one.instance_id != other.instance_id


@pytest.mark.parametrize("name", ["", "a b", 'a"', "x" * 65, "é"])
def test_an_id_that_no_header_can_have_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="instance_id must have"):
        ConfigClient("http://a", instance_id=name)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
@pytest.mark.parametrize("given_id", [None, "web-3", "x" * 64])
def test_a_forked_child_is_another_instance(given_id: str | None) -> None:
    code = (
        "import os, sys; from configsvc_client import ConfigClient\n"
        f"client = ConfigClient('http://a', instance_id={given_id!r})\n"
        "print(client.instance_id, flush=True)\n"
        "if os.fork() == 0: print(client.instance_id, flush=True); os._exit(0)\n"
        "os.wait(); print(client.instance_id)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, child, after = run.stdout.split()
    assert before == after != child
    assert re.fullmatch(r"[A-Za-z0-9._~-]{1,64}", child)
