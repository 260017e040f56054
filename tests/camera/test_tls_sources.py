"""Cameras with TLS: their certificates are verified, unless `tls_insecure` says not to."""

import ssl
import threading
from contextlib import ExitStack, closing
from itertools import islice

import pytest
import trustme

from edgepub.core.errors import SourceError
from tests.support import films
from tests.support.rtsp import RtspCamera, needs_rtsp_server, play
from tests.support.sources import listening, open_source

UNTRUSTED = (
    "cannot be opened: TLS: this computer does not trust its certificate (certificate failed verification): if it is "
    "the camera's own, set capture.tls_insecure: true"
)
OTHER_HOST = UNTRUSTED.replace("certificate failed verification", "certificate's owner does not match")


def numbers_of(url, count, **capture):
    source = open_source(url, **capture)
    with closing(source.frames(threading.Event())) as frames:
        return [films.read_number(frame.image) for frame in islice(frames, count)]


def why(url):
    with pytest.raises(SourceError) as caught:
        numbers_of(url, 1)
    return str(caught.value).partition(": ")[2]


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def trusted(authority, tmp_path, monkeypatch):
    """Has this computer trust the authority."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))


@pytest.fixture
def serve():
    """Returns a function that serves a certificate, and nothing after it; returns the port."""
    with ExitStack() as stack:

        def start(certificate):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            certificate.configure_cert(context)

            def answer(connection):
                with context.wrap_socket(connection, server_side=True) as secured:
                    secured.recv(100)

            return stack.enter_context(listening(answer))

        yield start


@pytest.mark.parametrize("scheme", ["https", "rtsps", "rtmps", "tls"])
def test_a_certificate_of_an_unknown_authority(serve, authority, scheme):
    port = serve(authority.issue_cert("127.0.0.1"))
    assert why(f"{scheme}://127.0.0.1:{port}/x") == UNTRUSTED


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("scheme", ["https", "rtsps", "rtmps", "tls"])
def test_a_certificate_of_another_host(serve, authority, scheme):
    port = serve(authority.issue_cert("camera.example"))
    assert why(f"{scheme}://127.0.0.1:{port}/x") == OTHER_HOST


def test_ffmpegs_options_in_the_environment_leave_certificates_verified(serve, authority, monkeypatch):
    monkeypatch.setenv("OPENCV_FFMPEG_CAPTURE_OPTIONS", "rtsp_transport;tcp")
    port = serve(authority.issue_cert("127.0.0.1"))
    assert why(f"rtsps://127.0.0.1:{port}/x") == UNTRUSTED


@pytest.fixture
def camera(authority, tmp_path):
    """A real RTSP server with TLS."""
    certificate = authority.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    film = films.encode(tmp_path / "film.mp4", range(200))
    with RtspCamera(play(film), f"tls={tmp_path / 'cert.pem'}:{tmp_path / 'key.pem'}") as camera:
        yield camera.url.replace("rtsp://", "rtsps://")


@needs_rtsp_server
@pytest.mark.usefixtures("trusted")
def test_an_rtsp_camera_with_a_trusted_certificate(camera):
    numbers = numbers_of(camera, 20)
    assert numbers == sorted(set(numbers))


@needs_rtsp_server
def test_an_rtsp_camera_with_its_own_certificate(camera):
    assert why(camera) == UNTRUSTED
    assert len(numbers_of(camera, 20, tls_insecure=True)) == 20
