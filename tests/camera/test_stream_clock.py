"""When a packet came and when its picture was taken, by the stream's clock. Pure: the tests give the time."""

import pytest

from edgepub.camera.sources.stream_clock import StreamClock

PERIOD_S = 0.04
WALL_S = 1.8e9  # at the monotonic time 0


class Camera:
    """A camera of 25 frames a second, read by a reader that may be slow."""

    def __init__(self, *, rate=1.0, ahead_s=None, delay_s=0.01):
        self.offsets = []
        self.clock = StreamClock(self.offsets.append)
        self.rate = rate
        """How fast its timestamps advance: 1 is right."""
        self.ahead_s = ahead_s
        """How far its own time is ahead; None: it does not tell its time."""
        self.delay_s = delay_s
        """From the picture to the packet's arrival."""
        self.number = 0
        self.free_s = 0.0
        """When the reader asks for the next packet."""

    def read(self, work_s=0.001, *, began_s=0.0):
        """Read the next packet, then work; return its true arrival, when it was read, and what the clock says."""
        taken_s = began_s + self.number * PERIOD_S
        came_s = taken_s + self.delay_s
        asked_s = self.free_s
        now_s = max(came_s, asked_s + 0.0002)
        stamp_s = 100 + self.rate * self.number * PERIOD_S
        self.clock.read(stamp_s, asked_s, now_s)
        reported_s = None if self.ahead_s is None else WALL_S + taken_s + self.ahead_s
        arrival = self.clock.arrival(stamp_s, stamp_s, now_s, WALL_S + now_s, reported_s)
        self.number += 1
        self.free_s = now_s + work_s
        return came_s, now_s, arrival


def test_a_packet_that_is_waited_for_comes_as_it_is_read():
    camera = Camera()
    for _ in range(100):
        came_s, now_s, arrival = camera.read()
        assert arrival.came_s == pytest.approx(came_s, abs=0.001) == pytest.approx(now_s, abs=0.001)
        assert arrival.clock == "arrival"


def test_a_packet_that_waited_to_be_read_is_as_old_as_it_is():
    camera = Camera()
    for _ in range(50):
        camera.read()
    for _ in range(100):
        came_s, now_s, arrival = camera.read(work_s=3 * PERIOD_S)
        assert arrival.came_s == pytest.approx(came_s, abs=0.01)
    assert now_s - came_s > 5, "the reader is far behind"
    for _ in range(300):
        came_s, _, arrival = camera.read(work_s=0)
        assert arrival.came_s == pytest.approx(came_s, abs=0.02), "and catches up"


@pytest.mark.parametrize("rate", [0.97, 0.9999, 1.0001, 1.03])
def test_a_camera_whose_stamps_run_slow_or_fast_is_not_taken_for_a_slow_reader(rate):
    """Cheap cameras stamp 25 frames a second, whatever they send."""
    camera = Camera(rate=rate)
    for number in range(2000):
        came_s, _, arrival = camera.read()
        assert arrival.came_s == pytest.approx(came_s, abs=0.05), number


@pytest.mark.parametrize("rate", [0.0, 0.08, 0.5, 3.0])
def test_a_stream_whose_stamps_say_nothing_comes_as_it_is_read(rate):
    """Some servers stamp 25 frames a second, however few they send, or give all the same stamp."""
    camera = Camera(rate=rate, ahead_s=0)
    for number in range(200):
        came_s, _, arrival = camera.read()
        assert came_s - 1.3 < arrival.came_s < came_s + 0.01, number
        if number > 40:
            assert arrival.taken_s == pytest.approx(came_s, abs=0.001)
            assert arrival.clock == "arrival"


def test_a_longer_way_through_the_network_is_accepted():
    camera = Camera()
    for _ in range(50):
        camera.read()
    camera.delay_s = 0.7
    for _ in range(50):
        came_s, _, arrival = camera.read()
    assert arrival.came_s == pytest.approx(came_s, abs=0.01)


def test_packets_that_a_network_held_back_are_as_old_as_they_are():
    camera = Camera()
    for _ in range(50):
        camera.read()
    camera.free_s += 3  # nothing came for three seconds, and then all at once
    asked_s = camera.free_s - 3
    for number in range(60):
        taken_s = camera.number * PERIOD_S
        now_s = max(taken_s + camera.delay_s, camera.free_s)
        stamp_s = 100 + taken_s
        camera.clock.read(stamp_s, asked_s, now_s)
        arrival = camera.clock.arrival(stamp_s, stamp_s, now_s, WALL_S + now_s, None)
        assert arrival.came_s == pytest.approx(taken_s + camera.delay_s, abs=0.02), number
        camera.number += 1
        asked_s = camera.free_s = now_s + 0.001


def test_a_camera_that_starts_over_or_jumps_keeps_true_times():
    for jump in (-1000, 5, 3600 * 25):
        camera = Camera()
        for _ in range(50):
            camera.read()
        camera.number += jump
        for _ in range(50):
            came_s, _, arrival = camera.read(began_s=-jump * PERIOD_S)
            assert arrival.came_s == pytest.approx(came_s, abs=0.01)


def test_a_stream_without_timestamps_comes_as_it_is_read():
    clock = StreamClock(pytest.fail)
    clock.read(None, 1.0, 2.0)
    assert clock.arrival(None, None, 2.0, WALL_S, None) == (2.0, 2.0, "arrival")


@pytest.mark.parametrize("ahead_s", [-2.5, -0.1, 0.0, 0.005])
def test_the_cameras_own_time_is_believed_while_it_is_plausible(ahead_s):
    camera = Camera(ahead_s=ahead_s, delay_s=0.3)
    for _ in range(20):
        came_s, _, arrival = camera.read()
    assert arrival.clock == "rtcp"
    assert arrival.taken_s == pytest.approx(came_s - 0.3 + ahead_s, abs=0.002)
    assert camera.offsets[-1] == pytest.approx(ahead_s - 0.3, abs=0.002)


@pytest.mark.parametrize("ahead_s", [3600, 2.0, -3.0, -86_400 * 365 * 50])
def test_a_camera_with_a_wrong_time_is_not_believed(ahead_s):
    camera = Camera(ahead_s=ahead_s, delay_s=0.3)
    for _ in range(20):
        came_s, _, arrival = camera.read()
    assert arrival.clock == "arrival"
    assert arrival.taken_s == pytest.approx(came_s, abs=0.002)
    assert camera.offsets[-1] == pytest.approx(ahead_s - 0.3, abs=0.01)


def test_a_picture_is_never_from_the_future():
    camera = Camera(ahead_s=0.15, delay_s=0.01)
    for _ in range(20):
        _, now_s, arrival = camera.read()
        assert arrival.taken_s <= arrival.came_s <= now_s


def test_a_picture_that_is_shown_before_others_was_taken_before_them():
    """A B-frame comes after the picture that it precedes; both were taken before they came."""
    clock = StreamClock(pytest.fail)
    taken = {}
    for place, shown in enumerate([0, 3, 1, 2, 6, 4, 5, 9, 7, 8]):
        now_s = 10 + place * PERIOD_S
        dts_s, pts_s = place * PERIOD_S, (shown + 2) * PERIOD_S
        clock.read(dts_s, now_s - 0.039, now_s)
        taken[shown] = clock.arrival(dts_s, pts_s, now_s, WALL_S, None).taken_s
    order = [taken[shown] for shown in range(3, 10)]
    assert order == sorted(order)
    assert taken[9] == pytest.approx(10 + 7 * PERIOD_S, abs=0.001), "not later than it came"
