"""The header ``Configsvc-Instance``: what counts, and that no poll fails because of it."""

from typing import Any

import hypothesis
import pytest
from falcon.testing import TestClient
from hypothesis import strategies as st

from tests.server.http.support import ok

ENVIRONMENT = "/api/v1/applications/billing/environments/default"

WRONG = [
    "",
    "garbage",
    'id="web-1',
    "id=web-1",
    "id=1",
    "id",
    'id=("web-1")',
    'service="shop"',
    'id=""',
    'id="has blank"',
    f'id="{"x" * 65}"',
    'id="web-1", service=shop',
    f'id="web-1", service="{"x" * 101}"',
    'id="web-1", interval=0',
    'id="web-1", interval=3601',
    'id="web-1", interval=1.5',
    'id="web-1", interval=?1',
    'id="web-1", processes=0',
    'id="web-1", rejects=-1',
    'id="web-1", rejects=1001',
    f'id="web-1", other="{"x" * 1024}"',
    'id="wéb"',
    "\0",
]


def polled(api: TestClient, header: str) -> list[dict[str, Any]]:
    """Poll once, and return the instances that are known then."""
    result = api.simulate_get(f"{ENVIRONMENT}/snapshot", headers={"Configsvc-Instance": header})
    assert result.status_code == 200
    return list(ok(api.simulate_get(f"{ENVIRONMENT}/instances"))["items"])


@pytest.mark.parametrize("header", WRONG)
def test_what_is_wrong_is_ignored(api: TestClient, billing: Any, header: str) -> None:
    assert polled(api, header) == []


def test_what_is_not_known_is_ignored(api: TestClient, billing: Any) -> None:
    [found] = polled(api, 'id="web-1";q=1, colour=red, sizes=(1 2)')
    assert found["id"] == "web-1"


def test_all_members_are_shown(api: TestClient, billing: Any) -> None:
    header = (
        'id="web-1", service="shop", version="1.4.2", sdk="sdk/1", host="h", interval=60, '
        "processes=4"
    )
    [found] = polled(api, header)
    shown = {name: found[name] for name in ("service", "version", "sdk", "host", "processes")}
    assert shown == {
        "service": "shop",
        "version": "1.4.2",
        "sdk": "sdk/1",
        "host": "h",
        "processes": 4,
    }


def test_no_header_makes_a_poll_fail(api: TestClient, billing: Any) -> None:
    texts = st.text(st.characters(max_codepoint=0xFF, exclude_characters="\r\n"), max_size=200)
    members = st.sampled_from(['id="a"', "interval=", "processes=", "service=", '"', "(", ";", ","])
    headers = texts | st.lists(members | texts, max_size=8).map("".join)

    @hypothesis.given(headers)
    def check(header: str) -> None:
        sent = {"Configsvc-Instance": header}
        assert api.simulate_get(f"{ENVIRONMENT}/snapshot", headers=sent).status_code == 200

    check()
