"""Schedule of looks at files."""

import pytest

from configsvc_client._local.transport import LocalSchedule


@pytest.mark.parametrize(
    ("took", "has_change", "delay"),
    [(0.0001, False, 0.25), (0.007, False, 0.35), (3.0, False, 0.5), (3.0, True, 0.25)],
)
def test_a_look_that_takes_long_comes_less_often(
    took: float, has_change: bool, delay: float
) -> None:
    schedule = LocalSchedule()
    assert schedule.succeeded(
        has_change=has_change, asked=0.0, granted=False, took=took
    ) == pytest.approx(delay)


def test_failures_do_not_slow_it_down() -> None:
    schedule = LocalSchedule()
    for _ in range(20):
        assert schedule.failed(asked=0.0, took=0.0, may_be_cut=False) == (0.25, True)
    assert schedule.wait() == 0.0
