"""The small parts, each by what it promises."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepub.core.backoff import Backoff
from edgepub.core.redaction import redact, redact_line, url_origin
from edgepub.mqtt.topics import Topics
from edgepub.telemetry.metrics import CameraMetrics


@given(st.floats(0.01, 10), st.floats(1, 100), st.integers(1, 30))
def test_pauses_grow_to_a_limit_and_never_vanish(first_s, factor, tries):
    backoff = Backoff(first_s, first_s * factor)
    ceiling = first_s
    for _ in range(tries):
        assert ceiling / 10 <= backoff.next_s() <= ceiling
        ceiling = min(2 * ceiling, first_s * factor)
    backoff.reset()
    assert backoff.next_s() <= first_s


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("rtsp://user:pass@10.0.0.5/s failed", "rtsp://***@10.0.0.5/s failed"),
        ("cannot open 'rtsp://u:p@ss@h:554/x'", "cannot open 'rtsp://***@h:554/x'"),
        ("https://h/zoo?token=dg_abc&x=1", "https://h/zoo?token=***&x=1"),
        ("cannot open rtsp://admin:abc/123@10.0.0.5/s now", "cannot open rtsp://***@10.0.0.5/s now"),
        ("rtsp:/u:s3cret@h/x", "rtsp://***@h/x"),
        ("rtsp://h/user=admin_password=SECRET_channel=1", "rtsp://h/user=admin_password=***"),
        (
            "?access_token=a&psw=b&pass=c&passphrase=d&api-key=e&x=f",
            "?access_token=***&psw=***&pass=***&passphrase=***&api-key=***&x=f",
        ),
        ("mail me@h and see http://h/a", "mail me@h and see http://h/a"),
    ],
)
def test_secrets_are_taken_out(text, clean):
    assert redact(text) == clean


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("rtsp://u:p@10.0.0.5:554/stream", "rtsp://10.0.0.5:554"),
        ("rtsp://u:a/b@c@h/s?x=1", "rtsp://h"),
        ("rtsp://10.0.0.5/user=a_password=SECRET", "rtsp://10.0.0.5"),
        ("http://h?token=x", "http://h"),
    ],
)
def test_a_camera_is_named_by_its_place_alone(url, where):
    assert url_origin(url) == where


def test_foreign_errors_become_one_short_line():
    assert redact_line("[ERROR]OS error\n  Error   connecting\n") == "[ERROR]OS error Error connecting"
    assert len(redact_line("x" * 5000)) == 300


def test_the_topic_tree():
    topics = Topics("site/edge", "garage")
    assert topics.status == "site/edge/garage/status"
    assert topics.info == "site/edge/garage/info"
    assert topics.camera_status("porch") == "site/edge/garage/porch/status"
    assert topics.detections("porch") == "site/edge/garage/porch/detections"


def test_counts_are_by_reason():
    counts = CameraMetrics()
    counts.count_dropped("queue_full", 2)
    counts.count_dropped("invalid")
    counts.count_sampled("busy")
    read = counts.read()
    assert (read.dropped, read.sampled) == ({"queue_full": 2, "invalid": 1}, {"busy": 1})
    assert counts.dropped_total == 3
