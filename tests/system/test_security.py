"""Identity of the broker and of its clients, and their rights; on a real Mosquitto."""

import datetime as dt
import re
import signal
import subprocess
from pathlib import Path

import psutil
import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat

from tests.support.brokers import Mosquitto, Subscriber
from tests.support.studio import BOX
from tests.support.waiting import wait_until

pytestmark = pytest.mark.mosquitto
PAGE = Path(__file__).parents[2] / "docs" / "security.md"
PASSWORDS = {"edge": "s3cret-edge", "homeassistant": "s3cret-ha", "guest": "s3cret-guest"}


class Certificates:
    """A test authority, and the files that it has signed."""

    def __init__(self, directory):
        self._dir = directory
        self._authority = trustme.CA()
        self.authority = self._write("ca.pem", self._authority.cert_pem)

    def issue(self, name, **options):
        """Return the files of a certificate and of its key."""
        issued = self._authority.issue_cert(name, **options)
        certificate = self._write(f"{name}.pem", issued.cert_chain_pems[0])
        return certificate, self._write(f"{name}.key", issued.private_key_pem)

    def _write(self, name, blob):
        path = self._dir / name
        blob.write_to_path(path)
        return path


@pytest.fixture
def certificates(tmp_path):
    return Certificates(tmp_path)


@pytest.fixture
def start(tmp_path):
    """Return a function that starts brokers with lines of configuration."""
    started = []

    def run(*lines):
        started.append(Mosquitto(tmp_path, "listener {port} 127.0.0.1", *lines).start())
        return started[-1]

    yield run
    for broker in started:
        broker.stop()


MUTUAL_TLS = ("require_certificate true", "use_identity_as_username true")
YESTERDAY = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
SERVERS = {
    "right": (("127.0.0.1",), {}, "connected"),
    "expired": (
        ("127.0.0.1",),
        {"not_before": YESTERDAY - dt.timedelta(days=9), "not_after": YESTERDAY},
        "certificate has expired",
    ),
    "wrong host": (
        ("broker.lan",),
        {},
        "certificate is not valid for '127.0.0.1'",
    ),
}


@pytest.mark.parametrize("kind", list(SERVERS))
def test_a_broker_must_prove_its_identity(certificates, start, run_daemon, studio, kind):
    names, options, said = SERVERS[kind]
    certificate, key = certificates.issue(*names, **options)
    broker = start(f"certfile {certificate}", f"keyfile {key}", "allow_anonymous true")
    settings = studio.settings(f"mqtts://127.0.0.1:{broker.port}", "0", enabled=False)
    settings["mqtt"] |= {"protocol": "auto", "tls": {"ca_file": str(certificates.authority)}}
    daemon = run_daemon(settings)
    daemon.wait_for_log(said)
    assert ("connected" in daemon.log) == (kind == "right")


@pytest.mark.parametrize("protocol", ["auto", "5", "3.1.1"])
def test_a_broker_that_requires_a_client_certificate(certificates, start, run_daemon, studio, protocol):
    certificate, key = certificates.issue("127.0.0.1")
    broker = start(f"cafile {certificates.authority}", f"certfile {certificate}", f"keyfile {key}", *MUTUAL_TLS)
    settings = studio.settings(f"mqtts://127.0.0.1:{broker.port}", "0", enabled=False)
    settings["mqtt"] |= {"protocol": protocol, "tls": {"ca_file": str(certificates.authority)}}
    daemon = run_daemon(settings)
    daemon.wait_for_log("tlsv13 alert certificate required")
    assert "connected" not in daemon.log
    daemon.close()
    ours, our_key = certificates.issue("edge", common_name="edge")
    settings["mqtt"]["tls"] |= {"cert_file": str(ours), "key_file": str(our_key)}
    run_daemon(settings).wait_for_log("connected")


def test_a_key_with_a_passphrase(certificates, start, run_daemon, studio, tmp_path):
    certificate, key = certificates.issue("127.0.0.1")
    broker = start(f"cafile {certificates.authority}", f"certfile {certificate}", f"keyfile {key}", *MUTUAL_TLS)
    ours, our_key = certificates.issue("edge", common_name="edge")
    private = serialization.load_pem_private_key(our_key.read_bytes(), None)
    encryption = serialization.BestAvailableEncryption(b"open sesame")
    our_key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    (tmp_path / "passphrase").write_text("open sesame\n")
    settings = studio.settings(f"mqtts://127.0.0.1:{broker.port}", "0", enabled=False)
    files = {"cert_file": ours, "key_file": our_key, "key_password_file": tmp_path / "passphrase"}
    settings["mqtt"]["tls"] = {key: str(path) for key, path in {"ca_file": certificates.authority, **files}.items()}
    daemon = run_daemon(settings)
    daemon.wait_for_log("connected")
    # The files are read again for each session: a renewed key may have another passphrase.
    (tmp_path / "passphrase").write_text("wrong")
    broker.stop()
    broker.start()
    daemon.wait_for_log("mqtt.tls.key_password_file")
    (tmp_path / "passphrase").write_text("open sesame")
    wait_until(lambda: daemon.log.count(": connected") == 2, "the second session")
    (tmp_path / "passphrase").write_text("wrong")
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait_for_log("reload refused")
    assert daemon.terminate() == 0
    assert "open sesame" not in daemon.log
    assert "Traceback" not in daemon.log


def block(heading):
    """Return the text of the page's code block that begins with a line."""
    return re.search(rf"```\w*\n({re.escape(heading)}\n.*?)```", PAGE.read_text(), re.DOTALL)[1]


@pytest.fixture
def guarded(tmp_path, start):
    """A broker with the page's access control list, and a password for each."""
    passwords, acl = tmp_path / "passwords", tmp_path / "acl"
    passwords.touch()
    for user, password in PASSWORDS.items():
        subprocess.run(["mosquitto_passwd", "-b", passwords, user, password], check=True, stderr=subprocess.DEVNULL)
    acl.write_text(block("# /etc/mosquitto/edgepub.acl"))
    return start(f"password_file {passwords}", f"acl_file {acl}")


def settings_of(studio, broker, **camera):
    settings = studio.settings(broker.url, studio.video([[BOX]] * 50), realtime=True, loop=True, **camera)
    settings["node"] = "garage"
    settings["mqtt"] = {"url": broker.url, "username": "edge"}
    return settings


def subscriber(broker, user):
    return Subscriber(broker.port, user=(user, PASSWORDS[user]))


def test_the_access_control_list_of_the_page(guarded, run_daemon, studio):
    """Home Assistant reads and sets, a guest does nothing, and edgepub reaches no other node."""
    home, guest = subscriber(guarded, "homeassistant"), subscriber(guarded, "guest")
    try:
        settings = settings_of(studio, guarded, tracking=True, snapshot={"enabled": True})
        del settings["home_assistant"]
        daemon = run_daemon(settings, EDGEPUB_MQTT__PASSWORD=PASSWORDS["edge"])
        for topic in (
            "status",
            "info",
            "cam/status",
            "cam/detections",
            "cam/events",
            "cam/snapshot",
            "cam/objects/person",
        ):
            home.wait_for(lambda r, topic=topic: r.last(f"edgepub/garage/{topic}"), topic)
        config = "homeassistant/device/edgepub_garage_CAMERA_cam/config"
        home.wait_for(lambda r: r.last(config), "the camera's announcement")
        guest.publish(config, "")
        guest.publish("edgepub/garage/cam/min_score/set", "0.1")
        home.publish("edgepub/garage/cam/min_score/set", "0.7")
        home.wait_for(lambda r: r.last("edgepub/garage/cam/min_score") == b"0.7", "the new value")
        home.publish("edgepub/garage/cam/status", "offline")
        home.publish("edgepub/garage/cam/enabled/set", "OFF")
        home.wait_for(lambda r: r.last("edgepub/garage/cam/status") == b"disabled", "the end")
        assert b"0.1" not in home.payloads("edgepub/garage/cam/min_score")
        assert home.payloads("edgepub/garage/cam/status").count(b"offline") <= 1, "only edgepub says so"
        assert b"" not in home.payloads(config)
        announced = len(home.payloads(config))
        home.publish("homeassistant/status", "online")
        home.wait_for(lambda r: len(r.payloads(config)) > announced, "the announcement after its start")
        assert guest.messages == []
        daemon.terminate()
        assert "Not authorized" not in daemon.log
        assert not any(secret in daemon.log for secret in PASSWORDS.values())
    finally:
        home.close()
        guest.close()


def test_messages_that_the_broker_does_not_allow_are_logged_dropped_and_counted(guarded, run_daemon, studio):
    """With MQTT 5 the broker gives the reason. Other topics are not affected."""
    home = subscriber(guarded, "homeassistant")
    try:
        settings = settings_of(studio, guarded, tracking=True)
        settings |= {"node": "shed", "stats": {"interval_s": 1}}
        daemon = run_daemon(settings, EDGEPUB_MQTT__PASSWORD=PASSWORDS["edge"])
        daemon.wait_for_log("Not authorized")
        daemon.wait_for_log("cam: online")
        assert daemon.terminate() == 0
        assert not [topic for topic, _, _ in home.messages if topic.startswith("edgepub/shed")]
    finally:
        home.close()


def test_a_password_is_never_shown(guarded, run_daemon, studio, tmp_path):
    secret = PASSWORDS["edge"]
    (tmp_path / "password").write_text(secret)
    settings = settings_of(studio, guarded)
    settings["mqtt"]["password_file"] = str(tmp_path / "password")
    settings["log"] = {"level": "debug"}
    home = subscriber(guarded, "homeassistant")
    try:
        daemon = run_daemon(settings)
        home.wait_for(lambda r: r.last("edgepub/garage/info") and r.last("edgepub/garage/cam/detections"), "messages")
        process = psutil.Process(daemon.process.pid)
        assert secret not in " ".join(process.cmdline())
        assert secret not in str(process.environ())
        daemon.terminate()
        assert not any(secret.encode() in payload for _, payload, _ in home.messages)
        assert secret not in daemon.log
        kept = [path for path in (tmp_path / "state").iterdir() if secret.encode() in path.read_bytes()]
        assert not kept
    finally:
        home.close()
