"""A real Home Assistant, headless, for tests.

`python3 tests/support/ha_lab.py` installs it once (two minutes, 1.7 GB, as root, on Debian or a derivative). Home
Assistant needs a newer Python than most machines have. So a Debian that has it is unpacked into a directory, and Home
Assistant runs there in a chroot. ha_lab.lock.txt pins all its packages.
"""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

VERSION = "2026.11.0"
SUITE, PYTHON = "forky", "python3.14"
ROOT = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "edgepub" / f"home-assistant-{VERSION}"
START_S = 120
_INSTALLED = ROOT / "installed"

_CONFIGURATION = """\
homeassistant: {{name: lab, time_zone: {time_zone}, unit_system: metric, country: US, currency: USD, language: en}}
http: {{server_host: 127.0.0.1, server_port: {port}}}
logger: {{default: warning, logs: {{homeassistant.components.mqtt: info}}}}
"""


def why_not():
    """Return why Home Assistant cannot run here; None if it can."""
    if os.geteuid():
        return "Home Assistant runs in a chroot, which needs root"
    return None if _INSTALLED.exists() else "no Home Assistant here: python3 tests/support/ha_lab.py installs one"


def install():
    """Install it unless it is installed; return why it cannot run, or None."""
    if os.geteuid() or _INSTALLED.exists():
        return why_not()
    if not shutil.which("debootstrap"):
        subprocess.run(["apt-get", "install", "-qy", "debootstrap"], check=True)
    shutil.rmtree(ROOT, ignore_errors=True)
    ROOT.mkdir(parents=True)
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)"], text=True, stdout=subprocess.PIPE, check=True
    )
    mirror = next(uri for uri in listed.stdout.split() if "security" not in uri)  # the one that apt uses here
    packages = f"{PYTHON}-venv,{PYTHON}-dev,g++,ca-certificates,libturbojpeg0"
    how = "sid"  # the script to use: an older debootstrap does not know the suite
    debootstrap = ["debootstrap", "--variant=minbase", f"--include={packages}", SUITE, str(ROOT), mirror, how]
    subprocess.run(debootstrap, check=True, stdout=subprocess.DEVNULL)
    for name in ("resolv.conf", "hosts", "pip.conf", "ssl/certs/ca-certificates.crt"):
        if Path("/etc", name).exists():
            shutil.copyfile(Path("/etc", name), ROOT / "etc" / name)
    shutil.copyfile(Path(__file__).with_name("ha_lab.lock.txt"), ROOT / "lock.txt")
    subprocess.run(_inside(f"/usr/bin/{PYTHON}", "-m", "venv", "/venv"), check=True)
    pip = ["/venv/bin/python", "-m", "pip", "install", "-q", "--no-cache-dir", "--prefer-binary", "--no-deps"]
    subprocess.run(_inside(*pip, "-r", "/lock.txt"), check=True)
    _INSTALLED.touch()
    return None


_STRICT = """
import asyncio, importlib, json, sys
from homeassistant.core import HomeAssistant

async def main():
    home = HomeAssistant("/tmp")  # without which there are no templates
    for topic, device in json.load(sys.stdin).items():
        shared = {key: device[key] for key in ("availability", "availability_mode", "device", "origin")}
        for key, component in device["components"].items():
            platform = importlib.import_module("homeassistant.components.mqtt." + component.pop("platform"))
            try:
                if component:
                    platform.PLATFORM_SCHEMA_MODERN({**shared, **component})
            except Exception as error:
                print(topic, key, error)

asyncio.run(main())
"""


def schema_errors(messages):
    """Return what is wrong in discovery messages, strictly: Home Assistant itself drops unknown keys silently.

    Args:
        messages: the payloads by topic.

    """
    command = _inside("/venv/bin/python", "-c", _STRICT)
    done = subprocess.run(command, input=json.dumps(messages), text=True, capture_output=True, check=False)
    return done.stdout + done.stderr


def _inside(*command):
    """Return a command that runs in the chroot. Its mounts end with it."""
    script = 'mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && exec chroot "$0" "$@"'
    return ["unshare", "--mount", "sh", "-c", script, str(ROOT), *command]


class HomeAssistant:
    """One Home Assistant, with the default integrations and MQTT.

    Args:
        http_port: the port of its HTTP server.
        broker_port: the port of its broker, on 127.0.0.1.
        prefix: its discovery prefix.
        more: more lines of configuration.yaml.
        time_zone: its time zone.
        files: further files of its configuration directory, content by path.

    """

    def __init__(self, http_port, broker_port, prefix="homeassistant", more="", time_zone="UTC", files=None):
        self._url = f"http://127.0.0.1:{http_port}"
        self._token = None
        self._dir = ROOT / "run" / uuid.uuid4().hex
        self._log = self._dir / "log"
        self._process = None
        storage = self._dir / ".storage"
        storage.mkdir(parents=True)
        (self._dir / "configuration.yaml").write_text(_CONFIGURATION.format(port=http_port, time_zone=time_zone) + more)
        for path, content in (files or {}).items():
            (self._dir / path).parent.mkdir(parents=True, exist_ok=True)
            (self._dir / path).write_text(content)
        entry = {
            "entry_id": uuid.uuid4().hex,
            "version": 1,
            "minor_version": 2,
            "domain": "mqtt",
            "title": "broker",
            "data": {"broker": "127.0.0.1", "port": broker_port},
            "options": {"discovery": True, "discovery_prefix": prefix},
            "source": "user",
            "unique_id": None,
            "pref_disable_new_entities": False,
            "pref_disable_polling": False,
            "disabled_by": None,
        }
        stored = {"version": 1, "minor_version": 2, "key": "core.config_entries", "data": {"entries": [entry]}}
        (storage / "core.config_entries").write_text(json.dumps(stored))
        # All steps but the owner's account, which `_become_owner` creates.
        done = {"version": 4, "minor_version": 1, "key": "onboarding"}
        steps = {"done": ["core_config", "analytics", "integration"]}
        (storage / "onboarding").write_text(json.dumps({**done, "data": steps}))

    def start(self):
        """Start it, and wait until it has sent its birth message."""
        births = self._read_log().count("birth message sent")
        inside = "/" + str(self._dir.relative_to(ROOT))
        with self._log.open("ab") as log:  # over restarts; its own log is replaced at each
            command = _inside("/venv/bin/hass", "-c", inside, "--skip-pip", "--log-no-color")
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, "TZ": "UTC"}
            )
        if not self._token:
            self._until(lambda: self._http("GET", "/api/onboarding"))
            self._become_owner()
        self._until(lambda: self._http("GET", "/api/config")["state"] == "RUNNING")
        self._until(lambda: self._read_log().count("birth message sent") > births)
        return self

    def stop(self):
        """Stop it gracefully, and keep its state for the next start."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def remove(self):
        """End it, and delete its state, for which it need not stop gracefully."""
        if self._process:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._dir, ignore_errors=True)

    def states(self):
        """Return all states, by entity."""
        return {state["entity_id"]: state for state in self._http("GET", "/api/states")}

    def state(self, entity_id):
        """Return the state of an entity; None if there is no such entity."""
        return self.states().get(entity_id, {}).get("state")

    def attributes(self, entity_id):
        """Return the attributes of an entity; none if there is no such entity."""
        return self.states().get(entity_id, {}).get("attributes", {})

    def entities(self):
        """Return the registry entries of MQTT's entities, by entity."""
        (listed,) = self.ask({"type": "config/entity_registry/list"})
        return {entity["entity_id"]: entity for entity in listed if entity["platform"] == "mqtt"}

    def devices(self):
        """Return MQTT's devices by their names."""
        (listed,) = self.ask({"type": "config/device_registry/list"})
        return {device["name"]: device for device in listed if any(kind == "mqtt" for kind, _ in device["identifiers"])}

    def call(self, domain, service, **data):
        """Call a service; return the HTTP error's text if it is refused."""
        try:
            self._http("POST", f"/api/services/{domain}/{service}", data)
        except HTTPError as error:
            return error.read().decode()

    def image(self, entity_id):
        """Return the bytes of an image."""
        return self._http("GET", f"/api/image_proxy/{entity_id}", raw=True)

    def follow(self, address):
        """Return the bytes at an address that a notification gives to a phone, which has no token of its own."""
        with urlopen(self._url + address, timeout=30) as reply:
            return reply.read()

    def ask(self, *commands):
        """Return the results of WebSocket commands."""
        return asyncio.run(self._ask(commands))

    def problems(self):
        """Return the warnings and errors in its log that are about MQTT, discovery, templates or automations."""
        records = re.split(r"(?m)^(?=\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)", self._read_log())
        bad = [r for r in records if re.match(r"\S+ \S+ (WARNING|ERROR|CRITICAL) ", r) or "No matching payload" in r]
        return [r for r in bad if re.search("mqtt|discovery|template|automation", r, re.IGNORECASE)]

    def _read_log(self):
        return self._log.read_text() if self._log.exists() else ""

    def _http(self, method, path, data=None, form=None, raw=False):
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        if data is not None:
            headers["Content-Type"] = "application/json"
        body = urlencode(form) if form else None if data is None else json.dumps(data)
        request = Request(self._url + path, body and body.encode(), headers, method=method)
        with urlopen(request, timeout=30) as reply:
            content = reply.read()
        return content if raw else json.loads(content)

    async def _ask(self, commands):
        import aiohttp  # PySDK brings it

        results = []
        url = self._url.replace("http", "ws") + "/api/websocket"
        async with aiohttp.ClientSession() as session, session.ws_connect(url, max_msg_size=0) as ws:
            await ws.receive_json()
            await ws.send_json({"type": "auth", "access_token": self._token})
            assert (await ws.receive_json())["type"] == "auth_ok"
            for number, command in enumerate(commands, 1):
                await ws.send_json({**command, "id": number})
                answer = await ws.receive_json()
                assert answer["success"], (command, answer)
                results.append(answer["result"])
        return results

    def _become_owner(self):
        """Create the account, and get a token that is valid over restarts."""
        client = {"client_id": self._url + "/"}
        user = {"name": "Lab", "username": "lab", "password": "lab", "language": "en"}
        code = self._http("POST", "/api/onboarding/users", {**client, **user})["auth_code"]
        form = {"grant_type": "authorization_code", "code": code, **client}
        self._token = self._http("POST", "/auth/token", form=form)["access_token"]
        wanted = {"type": "auth/long_lived_access_token", "client_name": "lab", "lifespan": 365}
        # Without this, it tries a new port for five minutes only, and then restarts on its default one.
        self._token, _ = self.ask(wanted, {"type": "http/config/promote"})

    def _until(self, ready):
        end = time.monotonic() + START_S
        while time.monotonic() < end and self._process.poll() is None:
            try:
                if ready():
                    return
            except OSError:
                pass
            time.sleep(0.1)
        raise AssertionError("Home Assistant does not start:\n" + self._read_log()[-4000:])


if __name__ == "__main__":
    sys.exit(install())
