"""Jupyter kernel: what a notebook shows beside what its cells read."""

from collections.abc import Callable, Iterator

import pytest

from tests.hosts.running import Kernel, Place, kernel
from tests.support.waiting import until

CREATE = """
from configsvc_client import ConfigClient
app = ConfigClient().application("billing")
"""

AWAIT = """
from configsvc_client import AsyncConfigClient
app = AsyncConfigClient().application("billing")
await app.ready()
seen = []
async def hear(change):
    seen.append(change.new)
app.on_change(hear, "database.pool_size")
"""


@pytest.fixture
def notebook(place: Place, configured: Callable[[int], None]) -> Iterator[Kernel]:
    pytest.importorskip("ipykernel", reason="ipykernel isn't installed")
    with kernel(place) as running:
        running.execute(CREATE)
        yield running


def test_a_cell_shows_the_view_without_starting_it(notebook: Kernel) -> None:
    assert "not started" in notebook.execute("app")


def test_the_tab_key_offers_the_names_of_configurations(notebook: Kernel) -> None:
    notebook.execute("app['database']")
    assert any("database" in name for name in notebook.completions('app["'))


def test_a_change_calls_back_while_no_cell_runs(
    notebook: Kernel, configured: Callable[[int], None]
) -> None:
    notebook.execute(
        "seen = []; app.on_change(lambda change: seen.append(change.new), 'database.pool_size');"
        "app['database']"
    )
    configured(20)
    until(lambda: "20" in notebook.execute("print(seen)"), seconds=20)


def test_a_coroutine_of_a_cell_is_awaited_while_no_cell_runs(
    notebook: Kernel, configured: Callable[[int], None]
) -> None:
    notebook.execute(AWAIT)
    configured(20)
    until(lambda: "20" in notebook.execute("print(seen)"), seconds=20)
