"""More frames than the computer can handle: with the real PySDK, a real broker and the real daemon."""

import time

import pytest

from tests.support.health import read_health
from tests.support.studio import BOX
from tests.support.waiting import free_port

pytestmark = [pytest.mark.mosquitto, pytest.mark.slow]
CAMERAS, FPS, STATS = 200, 5, 8


def walk(frame):
    """Three objects that move by a fifth of their width from frame to frame, so that each frame is tracked."""
    x, y = 2 + frame % 25, 2 + frame % 17
    boxes = ([x, 2, x + 6, 22], [40 - x, 20, 46 - x, 40], [30, y, 36, y + 20])
    return [{**BOX, "bbox": box} for box in boxes]


def test_overload_is_shared_by_all_cameras(mosquitto, subscribe, run_daemon, studio):
    """Nothing is promised about the total, which is the computer's; each camera gets its share of it."""
    video = studio.video([walk(frame) for frame in range(100)], fps=FPS)
    settings = studio.settings(mosquitto.url, video, realtime=True, loop=True, snapshot={"enabled": True})
    camera, port = settings["cameras"].pop("cam"), free_port()
    settings["cameras"] = {f"camera{number}": camera for number in range(CAMERAS)}
    settings["http"] = {"listen": f"127.0.0.1:{port}"}
    settings["stats"] = {"interval_s": 2}
    reader = subscribe(mosquitto.port, "edgepub/test/stats")
    daemon = run_daemon(settings)

    def published():
        return [[camera["published"] for camera in stats["cameras"].values()] for stats in reader.stats()]

    def shares():
        return [after - before for before, after in zip(published()[-1 - STATS], published()[-1], strict=True)]

    def is_even():
        mean = sum(shares()) / CAMERAS
        return 0.75 * mean <= min(shares()) <= max(shares()) <= 1.25 * mean

    # Other tests run at the same time, so some windows are too short.
    reader.wait_for(lambda _: len(published()) > STATS and min(published()[-1 - STATS]) > 0, "all cameras", seconds=120)

    def is_good():
        intervals_s = [stats["interval_s"] for stats in reader.stats()[-STATS:]]
        return is_even() and sum(shares()) > 50 * sum(intervals_s) and max(intervals_s) < 7

    reader.wait_for(lambda _: is_good(), "the same share for each, and no stats late by more than 5 s", seconds=120)
    took_s = []
    for _ in range(3):
        from_s = time.monotonic()
        assert read_health(port)[1]["ready"]
        took_s.append(time.monotonic() - from_s)
    assert min(took_s) < 5
    assert daemon.terminate() == 0, daemon.log
