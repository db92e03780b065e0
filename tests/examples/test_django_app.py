"""The Django sample: settings from a configuration, and a feature that is live."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
import requests

from tests.examples.conftest import Configure
from tests.hosts.running import ROOT, Command, Place, started
from tests.support.waiting import until

SITE = ROOT / "examples/django_app"


@pytest.fixture
def site(place: Place, configure: Configure) -> Place:
    """The sample's server, with configurations for it."""
    secret_key = "of-a-test-and-nothing-else" * 3
    configure("django", {"secret_key": secret_key, "allowed_hosts": ["127.0.0.1"]})
    file = place.folder / "billing.sqlite3"
    configure("database", {"ENGINE": "django.db.backends.sqlite3", "NAME": str(file)})
    configure("features", {"new_invoice": False})
    return place


@pytest.fixture
def address(site: Place) -> Iterator[str]:
    """An address of the sample, served as in production."""
    command = (
        *(sys.executable, "-m", "gunicorn", "--preload", "--bind", "127.0.0.1:0"),
        *("--no-control-socket", "billing_site.wsgi"),
    )
    with started(Command, site, command, cwd=SITE) as running:
        yield running.wait_for(r"Listening at: (http://\S+)")[1]
        running.stop()
        assert not running.trouble("DeprecationWarning.*fork"), running.output


@pytest.mark.parametrize("command", [("check",), ("migrate", "--check"), ("migrate",)])
def test_commands_use_the_database_of_the_configuration(
    site: Place, command: tuple[str, ...]
) -> None:
    ended = subprocess.run(
        [sys.executable, "manage.py", *command],
        cwd=SITE,
        env=site.environment(),
        check=False,
        capture_output=True,
        text=True,
    )
    # There is something to migrate, which is all that the second one asks.
    assert ended.returncode == (1 if "--check" in command else 0), ended.stderr
    assert not ended.stderr
    assert (site.folder / "billing.sqlite3").exists() == ("migrate" in command)


def test_a_page_has_the_feature_of_this_moment(address: str, configure: Configure) -> None:
    assert requests.get(f"{address}/invoices/7", timeout=10).text == "Invoice 7"
    configure("features", {"new_invoice": True})
    until(lambda: requests.get(f"{address}/invoices/7", timeout=10).text == "<h1>Invoice 7</h1>")
