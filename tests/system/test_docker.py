"""The files in docker/; tests/system/container.py builds the image and runs it."""

import http.server
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml

from edgepub.config.load import load_settings
from edgepub.config.secrets import read_http_token
from edgepub.config.settings import HttpSettings
from tests.support.brokers import Mosquitto, Subscriber

DOCKER = Path(__file__).parents[2] / "docker"


@pytest.fixture
def compose():
    return yaml.safe_load((DOCKER / "compose.yaml").read_text())


def test_files_that_compose_builds_and_mounts_exist(compose):
    for name, service in compose["services"].items():
        for mount in service["volumes"]:
            source = mount.split(":")[0]
            assert source in compose["volumes"] or source.startswith("/etc/") or (DOCKER / source).exists(), (
                name,
                mount,
            )
        assert set(service.get("networks", [])) <= set(compose["networks"])
    build = compose["services"]["edgepub"]["build"]
    assert (DOCKER / build["context"] / build["dockerfile"]).is_file()


def test_edgepubs_network_has_no_other_service(compose):
    """PySDK's worker listens there, and trusts every client."""
    services = compose["services"]
    (ours,) = services["edgepub"]["networks"]
    assert [name for name, service in services.items() if ours in service.get("networks", [])] == ["edgepub"]
    assert not {"ports", "network_mode"} & services["edgepub"].keys()


def test_an_update_happens_only_on_request(compose):
    images = [service["image"] for service in compose["services"].values() if "image" in service]
    images += re.findall(r"(?m)^ARG BASE=(.*)$", (DOCKER / "Dockerfile").read_text())
    assert len(images) == 4
    assert not [image for image in images if ":" not in image or image.endswith(":latest")]


def test_the_lines_for_a_device_are_lines_of_a_service():
    text = (DOCKER / "compose.yaml").read_text()
    _, *blocks = text[text.index("# Accelerators and webcams") : text.index("  mosquitto:\n")].split("    #\n")
    for block in blocks:
        title, lines = block.split("\n", 1)
        given = yaml.safe_load(re.sub("(?m)^    # ", "", lines))
        assert given, title
        assert given.keys() <= {"devices", "group_add", "volumes", "device_cgroup_rules"}
        assert all(isinstance(values, list) for values in given.values())


@pytest.fixture
def configured(tmp_path, monkeypatch):
    """Return a function that loads a configuration as the container has it."""

    def load(text):
        (tmp_path / "edgepub.yaml").write_text(text)
        (tmp_path / "porch_url").write_text("rtsp://user:password@192.168.1.20/stream")
        (tmp_path / "mqtt_password").write_text("secret")
        (tmp_path / "http_token").write_text("0123456789abcdef")
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
        return load_settings(tmp_path / "edgepub.yaml")

    return load


def test_the_configuration_is_valid_with_and_without_the_commented_lines(configured, compose, demo_assets):
    text = (DOCKER / "edgepub.yaml").read_text()
    settings = configured(text)
    assert list(settings.cameras) == ["face"]
    assert Path(settings.cameras["face"].source).name == demo_assets.video.name
    assert (demo_assets.zoo / settings.models["blazeface"].model_name).is_dir()
    socket_dir = str(Path(settings.mqtt.parts.path).parent)
    assert f"mosquitto-socket:{socket_dir}" in compose["services"]["mosquitto"]["volumes"]
    more = configured(re.sub(r"(?m)^  # (?=(coco|porch|  \w+):)", "  ", text))
    assert list(more.cameras) == ["face", "porch"]
    assert list(more.models) == ["blazeface", "coco"]


def make_passwords(directory):
    made = [directory / name for name in ("mosquitto", "edgepub", "socket")]
    for path in made:
        path.mkdir(exist_ok=True)
    subprocess.run(["sh", DOCKER / "passwords.sh", *made, DOCKER / "mosquitto.acl"], check=True)
    return made[0]


@pytest.fixture
def secrets(tmp_path):
    if os.geteuid():
        pytest.skip("passwords.sh gives its files away, which needs root")
    return make_passwords(tmp_path)


@pytest.fixture
def broker(tmp_path, secrets):
    """A Mosquitto with the files of docker/."""
    text = (DOCKER / "mosquitto.conf").read_text().replace("listener 1883", "listener {port} 127.0.0.1")
    for container_path in ("/mosquitto/secrets", "/run/mosquitto", "/mosquitto/data"):
        text = text.replace(container_path, {"/mosquitto/secrets": str(secrets)}.get(container_path, str(tmp_path)))
    broker = Mosquitto(tmp_path, *text.splitlines()).start()
    yield broker
    broker.stop()


def listen(broker, *options, **environment):
    """Return the result of a `mosquitto_sub` that asks for the broker's version."""
    command = ["mosquitto_sub", "-p", str(broker.port), "-t", "$SYS/broker/version", "-C", "1", "-W", "60", *options]
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **environment}
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)


@pytest.mark.mosquitto
def test_the_first_start_makes_users_that_the_broker_accepts_and_refuses_others(broker, secrets, tmp_path):
    assert listen(broker, XDG_CONFIG_HOME=str(secrets)).stdout.startswith(b"mosquitto"), (
        "mosquitto_sub knows who you are"
    )
    assert not listen(broker).stdout
    assert not listen(broker, "-u", "me", "-P", "me").stdout
    assert not listen(broker, "-u", "edgepub", "-P", (secrets / "me").read_text().strip()).stdout
    assert (tmp_path / "edgepub/mqtt_password").read_text() == (secrets / "edgepub").read_text()


@pytest.mark.mosquitto
def test_each_user_has_the_rights_that_it_needs(broker, secrets):
    users = {name: (name, (secrets / name).read_text().strip()) for name in ("edgepub", "homeassistant", "me")}
    clients = {name: Subscriber(broker.port, user=user) for name, user in users.items()}
    edgepub, home, me = clients["edgepub"], clients["homeassistant"], clients["me"]
    try:
        home.publish("edgepub/demo/status", "forged")
        me.publish("edgepub/demo/status", "forged")
        home.publish("edgepub/demo/face/min_score/set", "0.7")
        me.publish("edgepub/demo/face/enabled/set", "OFF")
        home.publish("homeassistant/status", "online")
        edgepub.publish("edgepub/demo/status", "online")
        edgepub.publish("homeassistant/device/edgepub_demo/config", "{}")
        for reader in (home, me):
            reader.wait_for(lambda r: r.payloads("homeassistant/device/edgepub_demo/config"), "the announcement")
            assert reader.payloads("edgepub/demo/status") == [b"online"]
        edgepub.wait_for(lambda r: r.payloads("homeassistant/status"), "the birth")
        edgepub.wait_for(lambda r: r.payloads("edgepub/demo/face/min_score/set"), "what Home Assistant sets")
        edgepub.wait_for(lambda r: r.payloads("edgepub/demo/face/enabled/set"), "what you set")
    finally:
        for client in clients.values():
            client.close()


@pytest.mark.mosquitto
def test_the_next_start_keeps_the_passwords_and_renews_the_rights(secrets, tmp_path):
    before = {path.name: path.read_bytes() for path in secrets.iterdir()}
    (secrets / "acl").write_text("user nobody\n")
    make_passwords(tmp_path)
    assert {path.name: path.read_bytes() for path in secrets.iterdir()} == before
    (secrets / "passwords").unlink()
    make_passwords(tmp_path)
    assert (secrets / "me").read_bytes() != before["me"]


@pytest.mark.mosquitto
@pytest.mark.usefixtures("secrets")
def test_the_token_stays_until_it_is_removed(tmp_path, monkeypatch):
    file = tmp_path / "edgepub" / "http_token"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(file.parent))
    first = read_http_token(HttpSettings(listen="0.0.0.0:9464"))
    make_passwords(tmp_path)
    assert read_http_token(HttpSettings()) == first
    file.unlink()
    make_passwords(tmp_path)
    assert read_http_token(HttpSettings()) != first


@pytest.fixture
def healthz():
    """An HTTP server that reports healthy, if a client sends the token that it requires."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            is_known = self.server.token in {None, self.headers["Authorization"]}
            self.send_response(200 if is_known and self.path == "/healthz" else 401)
            self.end_headers()
            self.wfile.write(b"words")

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        server.token = None
        yield server
        server.shutdown()
        thread.join()


def test_the_health_check_has_the_token_that_the_container_has(healthz, tmp_path):
    def code(**environment):
        command = [sys.executable, "-I", DOCKER / "health.py"]
        listen = {"EDGEPUB_HTTP__LISTEN": f"0.0.0.0:{healthz.server_port}"}
        done = subprocess.run(command, env=listen | environment, capture_output=True, timeout=60, check=False)
        assert done.stdout == b"words\n", done.stderr
        return done.returncode

    (tmp_path / "http_token").write_text("0123456789abcdef\n")
    assert code() == 0
    healthz.token = "Bearer 0123456789abcdef"
    assert code() == 1
    assert code(CREDENTIALS_DIRECTORY=str(tmp_path)) == 0
    assert code(EDGEPUB_HTTP__TOKEN_FILE=str(tmp_path / "http_token")) == 0


@pytest.mark.mosquitto
def test_only_its_owner_can_read_a_password(secrets, tmp_path):
    """Mosquitto 2 warns of files that others can read, and will refuse them."""
    ours = [tmp_path / "edgepub" / name for name in ("mqtt_password", "http_token")]
    kept = [*secrets.iterdir(), *ours]
    assert {path.stat().st_mode & 0o077 for path in kept} == {0}
    assert {path.stat().st_uid for path in secrets.iterdir()} == {1883}
    assert {path.stat().st_uid for path in ours} == {10001}
