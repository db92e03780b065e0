"""Parking: nothing that happens to a request is lost between its runs."""

from configsvc_server.cache.parking import Parking


class Lane:
    """Counts how often a request is put back."""

    def __init__(self) -> None:
        self.resumed = 0

    def resume(self) -> None:
        self.resumed += 1


def test_a_parked_request_is_resumed_once_however_often_it_is_woken() -> None:
    lane = Lane()
    parking = Parking(lane.resume)
    parking.begin()
    parking.park()
    assert lane.resumed == 0

    parking.wake()
    parking.wake()

    assert lane.resumed == 1


def test_what_happens_during_a_run_resumes_the_request_when_it_is_parked() -> None:
    lane = Lane()
    parking = Parking(lane.resume)
    parking.begin()

    parking.wake()
    assert lane.resumed == 0
    parking.park()

    assert lane.resumed == 1


def test_what_happened_before_a_run_is_seen_by_the_run() -> None:
    lane = Lane()
    parking = Parking(lane.resume)
    parking.begin()
    parking.park()
    parking.wake()
    parking.wake()

    parking.begin()
    parking.park()

    assert lane.resumed == 1


def test_what_a_request_holds_is_given_back_once() -> None:
    given_back: list[str] = []
    parking = Parking(lambda: None)
    parking.kept.callback(given_back.append, "slot")

    parking.close()
    parking.close()

    assert given_back == ["slot"]
