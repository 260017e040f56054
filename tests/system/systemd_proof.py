#!/usr/bin/python3
"""What `test_systemd.py` runs inside a container that has just booted: edgepub as a service, as documented.

Each printed line is a fact that was checked. It exits at the first that is wrong.
"""

import contextlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

PROJECT, DEPENDENCIES, DEMO = Path("/run/proof/project"), Path("/run/proof/dependencies"), Path("/run/proof/demo")
UNITS, ETC, PROGRAM = Path("/etc/systemd/system"), Path("/etc/edgepub"), Path("/opt/edgepub")
# It waits for the right time as systemd-time-wait-sync.service does, which does nothing in a container.
CLOCK_WAIT = """[Unit]
DefaultDependencies=no
Before=time-sync.target
Wants=time-sync.target
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'until test -e /run/clock-is-set; do sleep 0.1; done'
TimeoutStartSec={timeout_s}
"""
CREDENTIAL, TOKEN = Path("/etc/credstore/edgepub.mqtt_password"), Path("/etc/credstore/edgepub.http_token")
PASSWORD = "correct horse battery staple"
CONFIGURATION = {
    "node": "box",
    "mqtt": {"username": "edge"},
    "models": {"faces": {"model_name": "blazeface", "zoo_url": "/srv/zoo", "inference_host_address": "@local"}},
    "cameras": {
        name: {"source": "/srv/face.mp4", "model": "faces", "loop": True, "realtime": True} for name in ("door", "desk")
    },
    "http": {"listen": "127.0.0.1:9464", "allow_edit": True},  # which needs the credential http_token
}
# What takes a minute in production takes seconds here.
QUICK = "[Service]\nWatchdogSec=10\nRestartSec=1\n"
DEVICE = "/dev/hailo0"  # a substitute, which the lab binds there
EXPOSURE = 2.0


def sh(*command, check=True):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if check and done.returncode:
        stop(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


def stop(why):
    print(f"FAILED: {why}")
    print(sh("journalctl", "-u", "edgepub", "--no-pager", "-n", "60", check=False))
    print(sh("systemctl", "status", "edgepub", "--no-pager", check=False))
    sys.exit(1)


def eventually(what, condition, seconds=60):
    end_s = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end_s:
            stop(f"did not come: {what}")
        time.sleep(0.1)
    print(f"ok: {what}", flush=True)
    return value


def seen(what, fact, shown=None):
    if not fact:
        stop(f"{what}{f': {str(shown)[:1000]}' if shown is not None else ''}")
    print(f"ok: {what}", flush=True)


def prop(name):
    return sh("systemctl", "show", "edgepub", "--property", name, "--value")


def received(topic, count=1, seconds=30):
    """Return messages of a topic as another client receives them."""
    return sh(
        "mosquitto_sub", "-u", "reader", "-P", PASSWORD, "-t", topic, "-C", str(count), "-W", str(seconds), check=False
    )


def boot_id():
    return json.loads(received("edgepub/box/door/detections") or "{}").get("boot_id")


def configure(change=lambda _: None):
    configuration = json.loads(json.dumps(CONFIGURATION))
    change(configuration)
    (ETC / "edgepub.yaml").write_text(json.dumps(configuration))  # which is YAML


def install():
    shutil.copytree(DEMO / "zoo", "/srv/zoo")
    shutil.copy(next(DEMO.glob("files/*.mp4")), "/srv/face.mp4")
    sh("chmod", "-R", "a+rX", "/srv")
    sh("/usr/bin/python3", "-m", "venv", "--without-pip", str(PROGRAM))
    (site,) = PROGRAM.glob("lib/python3*/site-packages")
    shutil.copytree(PROJECT / "edgepub", site / "edgepub")
    (site / "dependencies.pth").write_text(f"{DEPENDENCIES}\n")
    script = PROGRAM / "bin" / "edgepub"
    script.write_text(f"#!{PROGRAM}/bin/python3\nfrom edgepub.__main__ import main\n\nmain()\n")
    script.chmod(0o755)
    ETC.mkdir(exist_ok=True)
    configure()
    CREDENTIAL.parent.mkdir(mode=0o700, exist_ok=True)
    CREDENTIAL.touch(mode=0o600)
    CREDENTIAL.write_text(PASSWORD)
    TOKEN.touch(mode=0o600)
    TOKEN.write_text("0123456789abcdef\n")
    shutil.copy(PROJECT / "systemd" / "edgepub.service", UNITS)
    (UNITS / "edgepub.service.d").mkdir()
    (UNITS / "edgepub.service.d" / "quick.conf").write_text(QUICK)
    for name in ("users", "log"):
        Path(f"/tmp/{name}").touch(0o600)
    for user in ("edge", "reader"):
        sh("mosquitto_passwd", "-b", "/tmp/users", user, PASSWORD)
    Path("/tmp/mosquitto.conf").write_text(
        "listener 1883 127.0.0.1\nallow_anonymous false\npassword_file /tmp/users\nuser root\npersistence false\n"
    )
    sh("systemd-run", "--unit", "broker", "/usr/sbin/mosquitto", "-c", "/tmp/mosquitto.conf")
    sh("systemctl", "daemon-reload")


def starts():
    sh("systemctl", "start", "edgepub")
    seen("it is active when `systemctl start` is over", prop("ActiveState") == "active")
    eventually("its status text is right", lambda: "2 of 2 cameras online" in prop("StatusText"))
    payload = json.loads(received("edgepub/box/door/detections"))
    seen(
        "it publishes the detections of a real model on a real video, with the password of the credential",
        payload["seq"],
    )
    pid = prop("MainPID")
    uid = int(sh("stat", "-c", "%u", f"/proc/{pid}"))
    seen("its user is a dynamic one", 61184 <= uid <= 65519, uid)
    environment = Path(f"/proc/{pid}/environ").read_text()
    seen("the password is in no environment", PASSWORD not in environment)
    addresses = {line.split()[3].rpartition(":")[0] for line in sh("ss", "-Hltnp").splitlines() if "python3" in line}
    seen("it, and PySDK's worker, listen on loopback alone", addresses == {"127.0.0.1"}, addresses)
    return uid


def writes_nowhere_else(uid):
    # Only the service has this user, so all its files are found. (Its /tmp and /var/tmp are removed with it.)
    elsewhere = ["-path", "/proc", "-o", "-path", "/var/lib/private/edgepub", "-o", "-path", "*/systemd-private-*"]
    elsewhere += ["-o", "-path", "/run/credentials"]
    command = [
        "find",
        "/",
        "/dev/shm",
        "/run",
        "-xdev",
        "(",
        *elsewhere,
        ")",
        "-prune",
        "-o",
        "-uid",
        str(uid),
        "-print",
    ]
    written = sh(*command, check=False).splitlines()
    seen("nothing is written outside of its state directory", not written, written)
    kept = sorted(path.name for path in Path("/var/lib/private/edgepub").iterdir())
    seen("events, states and PySDK's own files are there", {"events.sqlite", "state.json", ".local"} <= set(kept), kept)


def is_in_the_journal():
    entries = sh("journalctl", "-u", "edgepub", "CAMERA=door", "-o", "json", "--no-pager").splitlines()
    entry = json.loads(entries[-1])
    seen("the journal has a camera's lines by its name", entry["MESSAGE"].startswith("door: "), entry)
    seen("with priorities", {json.loads(line)["PRIORITY"] for line in entries} <= {"4", "6"})


def comes_back_after_a_kill():
    before = boot_id()
    sh("kill", "-9", prop("MainPID"))
    eventually("it is started again after kill -9", lambda: boot_id() not in {None, before})
    seen("once", prop("NRestarts") == "1", prop("NRestarts"))


def is_restarted_by_the_watchdog():
    before = boot_id()
    sh("kill", "-STOP", prop("MainPID"))
    eventually("a stopped process is started again by the watchdog", lambda: boot_id() not in {None, before})
    entries = sh("journalctl", "-u", "edgepub", "--no-pager")
    seen("which says so", "Watchdog timeout" in entries)


def reloads():
    before, frames = boot_id(), []

    def frame(camera):
        return json.loads(received(f"edgepub/box/{camera}/detections"))["frame"]

    eventually("both cameras are far enough", lambda: min(frame("door"), frame("desk")) > 30)
    frames = [frame("door"), frame("desk")]
    configure(lambda configuration: configuration["cameras"]["desk"].update(min_score=0.6))
    sh("systemctl", "reload", "edgepub")
    eventually("a reload says what it did", lambda: "reloaded: desk restarted" in prop("StatusText"))
    seen("it is active after it", prop("ActiveState") == "active", prop("ActiveState"))
    eventually("the camera that changed restarts", lambda: frame("desk") < frames[1])
    seen("the other one goes on", frame("door") > frames[0])
    configure(lambda configuration: configuration["cameras"]["desk"].update(min_scor=0.6))
    sh("systemctl", "reload", "edgepub")
    words = "reload refused: /etc/edgepub/edgepub.yaml: cameras.desk.min_scor: unknown key"
    eventually("a wrong configuration is refused", lambda: words in prop("StatusText"))
    seen("and the old one stays in force, in the same run", prop("ActiveState") == "active" and boot_id() == before)
    configure()


def refuses_a_wrong_configuration():
    sh("systemctl", "stop", "edgepub")
    seen("it publishes offline", received("edgepub/box/status") == "offline")
    seen("and stops well", prop("Result") == "success", prop("Result"))
    configure(lambda configuration: configuration["cameras"].clear())
    subprocess.run(["systemctl", "start", "edgepub"], capture_output=True, check=False)
    seen("with a wrong configuration it fails immediately", prop("ActiveState") == "failed", prop("ActiveState"))
    first = prop("InvocationID")
    time.sleep(3)  # three times the pause before a restart: one cannot wait for nothing
    seen(
        "and is not started again", (prop("ActiveState"), prop("InvocationID")) == ("failed", first), prop("NRestarts")
    )
    entries = sh("journalctl", "-u", "edgepub", f"_SYSTEMD_INVOCATION_ID={first}", "--no-pager")
    seen("its log names the key", "/etc/edgepub/edgepub.yaml: cameras: needs at least one" in entries, entries)
    errors = sh("journalctl", "-u", "edgepub", "-p", "err", "--no-pager")
    seen("as an error", "/etc/edgepub/edgepub.yaml: cameras: needs at least one" in errors, errors)
    configure()
    sh("systemctl", "start", "edgepub")
    seen("and with a right one it starts", prop("ActiveState") == "active")


def is_checked_and_purged_by_root():
    """With the service's own password, and without files that would lock the service out."""
    edgepub, file = f"{PROGRAM}/bin/edgepub", f"{ETC}/edgepub.yaml"
    said = sh(edgepub, "check", "--connect", "-c", file)
    seen("root's check --connect reaches all that the service does", said.count(": good: ") == 5, said)
    os.environ["STATE_DIRECTORY"] = "/var/lib/edgepub"
    saved = Path("/var/lib/edgepub/overrides.yaml")
    saved.write_text("cameras: {desk: {}}\n")
    said = sh(edgepub, "check", "-c", file)
    seen(
        "root's check sees what the service's page has saved",
        f"desk: uses the zones and lines saved on its page ({saved})" in said,
        said,
    )
    saved.unlink()
    sh("systemctl", "stop", "edgepub")
    cleared = sh(edgepub, "discovery", "--purge", "-c", file)
    seen("root's purge clears the node's topics", "edgepub/box/door/status" in cleared, cleared)
    sh("systemctl", "start", "edgepub")
    kept = Path("/var/lib/private/edgepub/state.json")
    eventually("and the service keeps its state as before", lambda: "box/door/status" in kept.read_text())
    seen("in a file of its own user", kept.stat().st_uid == kept.parent.stat().st_uid)


def starts_without_a_broker():
    sh("systemctl", "stop", "edgepub", "broker")
    configure(lambda configuration: configuration.update(startup_timeout_s=2))
    sh("systemctl", "start", "edgepub")
    seen("without a broker it is active, after startup_timeout_s", prop("ActiveState") == "active")
    eventually("and says what is wrong", lambda: "broker: " in prop("StatusText"))
    sh("systemctl", "stop", "edgepub")
    CREDENTIAL.unlink()
    sh("systemctl", "start", "edgepub")
    seen("and without a password as well, for a broker that needs none", prop("ActiveState") == "active")
    configure()


def waits_for_the_clock():
    """Where a unit waits for the time at boot, and no longer than that unit."""
    seen("nothing waits for the time here", sh("systemctl", "is-active", "time-sync.target", check=False) == "inactive")
    for timeout_s, is_set in (("infinity", True), ("3", False)):
        sh("systemctl", "stop", "edgepub", "time-sync.target")
        (UNITS / "clock-wait.service").write_text(CLOCK_WAIT.format(timeout_s=timeout_s))
        sh("systemctl", "daemon-reload")
        sh("systemctl", "start", "--no-block", "clock-wait", "edgepub")  # as in one boot
        time.sleep(2)  # one cannot wait for nothing
        seen("it does not start before the clock is set", prop("ActiveState") == "inactive", prop("ActiveState"))
        Path("/run/clock-is-set").touch() if is_set else None
        text = "it starts when the clock is set" if is_set else "and starts when nothing waits for that any longer"
        eventually(text, lambda: prop("ActiveState") == "active")
        Path("/run/clock-is-set").unlink(missing_ok=True)


def knows_the_boot():
    """So an event's age is exact over restarts. (The sandbox has a /proc of its own, with the id of the kernel.)"""
    with contextlib.closing(sqlite3.connect("/var/lib/private/edgepub/events.sqlite")) as database:
        (boot_id,) = database.execute("SELECT boot_id FROM clock").fetchone()
    seen("it knows the boot id", re.fullmatch(r"[0-9a-f-]{36}", boot_id), boot_id)


def is_hardened():
    for drop_in in [None, *sorted((PROJECT / "systemd" / "edgepub.service.d").glob("*.conf"))]:
        name = drop_in.stem if drop_in else "the unit alone"
        directory = Path("/tmp/units")
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        text = (PROJECT / "systemd" / "edgepub.service").read_text() + (drop_in.read_text() if drop_in else "")
        (directory / "edgepub.service").write_text(text)
        said = sh("systemd-analyze", "verify", "--man=no", str(directory / "edgepub.service"), check=False)
        seen(f"{name}: systemd accepts every line", "edgepub.service" not in said, said)
        rating = sh("systemd-analyze", "security", "--offline=yes", str(directory / "edgepub.service")).splitlines()[-1]
        exposure = float(rating.split(":")[1].split()[0])
        seen(f"{name}: exposure {exposure}, at most {EXPOSURE}", exposure <= EXPOSURE, rating)


def reaches_devices():
    unit = (PROJECT / "systemd" / "edgepub.service").read_text()
    unit = re.sub(r"(?m)^(Exec|Type|Watchdog|Restart|LoadCred).*\n", "", unit)
    opens = f"/usr/bin/python3 -c 'import os; os.open(\"{DEVICE}\", os.O_RDWR)'"
    for drop_in, expected in (
        ("", 1),
        ((PROJECT / "systemd" / "edgepub.service.d" / "hailo.conf").read_text(), 0),
    ):
        (UNITS / "opener.service").write_text(f"{unit}\n[Service]\nType=oneshot\nExecStart={opens}\n{drop_in}")
        sh("systemctl", "daemon-reload")
        done = subprocess.run(["systemctl", "start", "opener"], capture_output=True, check=False)
        seen(
            f"a device {'is reached with' if drop_in else 'is not there without'} its drop-in",
            done.returncode == expected,
        )


def main():
    os.environ["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    print(sh("systemctl", "--version").splitlines()[0])
    install()
    is_hardened()
    reaches_devices()
    uid = starts()
    is_in_the_journal()
    knows_the_boot()
    reloads()
    writes_nowhere_else(uid)
    comes_back_after_a_kill()
    is_restarted_by_the_watchdog()
    refuses_a_wrong_configuration()
    is_checked_and_purged_by_root()
    starts_without_a_broker()
    waits_for_the_clock()


main()
