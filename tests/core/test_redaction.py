"""Texts without secrets."""

import pytest

from edgepub.core.redaction import redact, redact_line, url_origin


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("rtsp://user:pass@10.0.0.5/s failed", "rtsp://***@10.0.0.5/s failed"),
        ("cannot open 'rtsp://u:p@ss@h:554/x'", "cannot open 'rtsp://***@h:554/x'"),
        ("https://h/zoo?token=dg_abc&x=1", "https://h/zoo?token=***&x=1"),
        ("cannot open rtsp://admin:abc/123@10.0.0.5/s now", "cannot open rtsp://***@10.0.0.5/s now"),
        ("no such file: /etc/edgepub/admin:S3cret@10.0.0.5:554/s", "no such file: /etc/edgepub/***@10.0.0.5:554/s"),
        ("rtsp//admin:S3/cret@10.0.0.5/s", "rtsp//***@10.0.0.5/s"),
        ("at 12:30 me@h", "at 12:30 me@h"),
        ("rtsp:/u:s3cret@h/x", "rtsp://***@h/x"),
        ("rtsp://h/user=admin_password=SECRET_channel=1", "rtsp://h/user=admin_password=***"),
        (
            "?access_token=a&psw=b&pass=c&passphrase=d&api-key=e&x=f",
            "?access_token=***&psw=***&pass=***&passphrase=***&api-key=***&x=f",
        ),
        ("mail me@h and see http://h/a", "mail me@h and see http://h/a"),
        ("a file name of other bytes: \udcff", r"a file name of other bytes: \udcff"),
    ],
)
def test_secrets_are_removed(text, clean):
    assert redact(text) == clean


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("rtsp://u:p@10.0.0.5:554/stream", "rtsp://10.0.0.5:554"),
        ("rtsp://u:a/b@c@h/s?x=1", "rtsp://h"),
        ("rtsp://10.0.0.5/user=a_password=SECRET", "rtsp://10.0.0.5"),
        ("http://h?token=x", "http://h"),
        ("http://10.0.0.5:81/snap.jpg?user=a&pwd=SEC@RET", "http://10.0.0.5:81"),
        ("rtsp://10.0.0.5/user=admin_password=P@SECRET_channel=1", "rtsp://10.0.0.5"),
        ("rtsp://u:SE%2FCRET@h:554/a@b", "rtsp://h:554"),
        ("rtsp://[fe80::1]:554/a@b", "rtsp://[fe80::1]:554"),
    ],
)
def test_a_camera_s_origin_has_no_secret(url, origin):
    assert url_origin(url) == origin


def test_errors_of_other_libraries_become_one_short_line():
    assert redact_line("[ERROR]OS error\n  Error   connecting\n") == "[ERROR]OS error Error connecting"
    assert len(redact_line("x" * 5000)) == 300
