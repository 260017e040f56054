"""Builds and runs the image on this machine: `python3 tests/system/container.py`, as root, on Debian or a derivative.

It uses no Docker. buildah builds docker/Dockerfile on a Debian made by debootstrap, in place of the official Python
image. Mounts run it as compose.yaml says: with a read-only root file system, as a user without rights, without
capabilities; here also without any network. The broker is a real Mosquitto with the files of docker/. Prints one line
per check. Exits with 1 at the first that fails, and with 77 where it cannot run.
"""

import atexit
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "edgepub" / "container"
BASE = "localhost/edgepub-test-base"
IMAGE = "localhost/edgepub-test"
PACKAGES = "python3-venv,libpython3.11,ca-certificates"  # what the official image has of it
TOOLS = {
    "buildah": "buildah",
    "debootstrap": "debootstrap",
    "mosquitto": "mosquitto",
    "mosquitto_sub": "mosquitto-clients",
    "setpriv": "util-linux",
    "ip": "iproute2",
}
GRACE_S, WAIT_S = 15, 60
SKIPPED = 77

# What a container runtime does, in a few words: arguments are the root directory, the user, the groups, then
# SOURCE:TARGET:MODE for each mount, `--`, and the command.
_RUN = r"""
root=$1 user=$2 groups=$3; shift 3
ip link set lo up
mount --bind "$root" "$root"
while [ "$1" != -- ]; do
    mount --bind "${1%%:*}" "$root$(echo "$1" | cut -d: -f2)"
    [ "${1##*:}" = rw ] || mount -o remount,bind,ro "$root$(echo "$1" | cut -d: -f2)"
    shift
done
shift
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t tmpfs -o mode=755,nosuid tmpfs "$root/dev"
for device in null zero full random urandom; do
    : > "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/shm"
mount -t tmpfs -o nosuid,nodev,noexec,size=64m,mode=1777 tmpfs "$root/dev/shm"
mount -o remount,bind,ro "$root"
mount -o remount,ro "$root/dev"
exec chroot "$root" setpriv --reuid "${user%:*}" --regid "${user#*:}" --groups "$groups" \
    --bounding-set=-all --inh-caps=-all --no-new-privs "$@"
"""


def main():
    if os.geteuid():
        return skip("it mounts, which needs root")
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    if missing := {package for tool, package in TOOLS.items() if not shutil.which(tool)}:
        return skip(f"apt-get install {' '.join(sorted(missing))}")
    began_s = time.monotonic()
    make_base()
    image = build()
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        with_broker(Path(directory), image)
    print(f"all is well, in {time.monotonic() - began_s:.0f} s")
    return 0


def skip(why):
    print(f"skipped: {why}")
    return SKIPPED


def check(what, good, details=""):
    print(f"{'ok' if good else 'FAILED'}: {what}", flush=True)
    if not good:
        print(details)
        sys.exit(1)


def wait_until(condition, seconds=WAIT_S):
    end = time.monotonic() + seconds
    while not (value := condition()) and time.monotonic() < end:
        time.sleep(0.1)
    return value


def buildah(*arguments):
    """Run buildah with separate storage; return its output."""
    where = ["--root", CACHE / "storage", "--runroot", CACHE / "run", "--storage-driver", "vfs"]
    environment = {**os.environ, "BUILDAH_ISOLATION": "chroot"}
    done = subprocess.run(
        ["buildah", *where, *arguments], env=environment, text=True, stdout=subprocess.PIPE, check=True
    )
    return done.stdout.strip()


def make_base():
    """Make the base image, once."""
    if BASE in buildah("images", "--format", "{{.Name}}").split():
        return
    shutil.rmtree(CACHE, ignore_errors=True)
    root = CACHE / "debian"
    CACHE.mkdir(parents=True)
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)"], text=True, stdout=subprocess.PIPE, check=True
    )
    mirror = next(uri for uri in listed.stdout.split() if "security" not in uri)  # the one that apt uses here
    debootstrap = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(root), mirror]
    subprocess.run(debootstrap, check=True, stdout=subprocess.DEVNULL)
    for name in ("resolv.conf", "hosts", "pip.conf", "ssl/certs/ca-certificates.crt"):  # how pip finds its index here
        if Path("/etc", name).exists():
            shutil.copyfile(Path("/etc", name), root / "etc" / name)
    container = buildah("from", "scratch")
    buildah("add", "--quiet", container, str(root), "/")
    buildah("commit", "--quiet", container, BASE)
    buildah("rm", container)
    shutil.rmtree(root)


def build():
    """Build the image; return its configuration."""
    began_s = time.monotonic()
    file = ["--format", "docker", "--file", str(HERE / "docker" / "Dockerfile")]
    buildah("build", "--quiet", *file, "--build-arg", f"BASE={BASE}", "--tag", IMAGE, str(HERE))
    size = json.loads(buildah("images", "--json", IMAGE))[0]["size"]
    check(f"the image is built, in {time.monotonic() - began_s:.0f} s: {size} with the base", True)
    atexit.register(buildah, "rmi", IMAGE)
    config = json.loads(buildah("inspect", "--type", "image", IMAGE))["Docker"]["config"]
    check("its user is a number, and not root's", re.fullmatch(r"[1-9]\d*:[1-9]\d*", config["User"]), config["User"])
    return config


def with_broker(directory, image):
    """Start Mosquitto as compose.yaml does, and try the container with it."""
    volumes = {name: directory / name for name in ("secrets", "edgepub-secrets", "socket", "data", "state")}
    for path in volumes.values():
        path.mkdir()
    os.chown(volumes["data"], 1883, 1883)
    os.chown(volumes["state"], *map(int, image["User"].split(":")))
    made = [volumes[name] for name in ("secrets", "edgepub-secrets", "socket")]
    subprocess.run(["sh", HERE / "docker/passwords.sh", *made, HERE / "docker/mosquitto.acl"], check=True)
    conf = (HERE / "docker/mosquitto.conf").read_text()
    here = {"/mosquitto/secrets": "secrets", "/mosquitto/data": "data", "/run/mosquitto": "socket"}
    for container_path, volume in here.items():
        conf = conf.replace(container_path, str(volumes[volume]))
    (directory / "mosquitto.conf").write_text(conf.replace("listener 1883\n", ""))
    as_user = ["setpriv", "--reuid", "1883", "--regid", "1883", "--clear-groups", "--bounding-set=-all"]
    broker = subprocess.Popen(
        [*as_user, "sh", "-c", "umask 007; exec mosquitto -c mosquitto.conf"],
        cwd=directory,
        stdout=subprocess.DEVNULL,
        stderr=(directory / "mosquitto.log").open("w"),
    )
    try:
        check("Mosquitto starts with docker/'s files", wait_until((volumes["socket"] / "mosquitto.sock").exists))
        said = (directory / "mosquitto.log").read_text()
        check("and complains of nothing", "Warning" not in said and "Error" not in said, said)
        with_container(directory, image, volumes)
    finally:
        broker.kill()
        broker.wait()


class Reader:
    """`mosquitto_sub` as a user runs it in the broker's container."""

    def __init__(self, volumes):
        self._socket = volumes["socket"] / "mosquitto.sock"
        self._environment = {**os.environ, "XDG_CONFIG_HOME": str(volumes["secrets"])}

    def read(self, topic, *options, **environment):
        command = ["mosquitto_sub", "--unix", self._socket, "-t", topic, "-W", str(WAIT_S), *options]
        return subprocess.run(
            command, env={**self._environment, **environment}, text=True, capture_output=True, check=False
        )


def with_container(directory, image, volumes):
    root = Path(mounted())
    command = [*image["Entrypoint"], *image["Cmd"]]
    mounts = {
        "/etc/edgepub": (HERE / "docker", "ro"),
        "/run/credentials/edgepub": (volumes["edgepub-secrets"], "ro"),
        "/run/mosquitto": (volumes["socket"], "ro"),
        **dict.fromkeys(image["Volumes"], (volumes["state"], "rw")),
    }
    for target in mounts:
        (root / target[1:]).mkdir(parents=True, exist_ok=True)  # as a runtime does
    before = listing(root)
    environment = [*image["Env"], "CREDENTIALS_DIRECTORY=/run/credentials/edgepub"]
    given = [f"{source}:{target}:{mode}" for target, (source, mode) in mounts.items()]
    log = directory / "edgepub.log"
    runtime = [
        "unshare",
        "--mount",
        "--pid",
        "--net",
        "--ipc",
        "--uts",
        "--fork",
        "--kill-child",
        "sh",
        "-ec",
        _RUN,
        "run",
    ]
    inside = ["env", "-i", "-C", image["WorkingDir"], *environment]
    process = subprocess.Popen(
        [*runtime, str(root), image["User"], "1883", *given, "--", *inside, *command],
        stdout=log.open("w"),
        stderr=subprocess.STDOUT,
    )
    try:
        container = Container(process, image, environment)
        try_it(container, Reader(volumes), log)
    finally:
        process.kill()
        process.wait()
    said = log.read_text()
    check("no process lacked a place to write", not re.search("Read-only|ermission denied|Traceback", said), said)
    check("nothing is written outside of the volume", listing(root) == before, set(listing(root)) ^ set(before))
    written = sorted(str(path.relative_to(volumes["state"])) for path in volumes["state"].rglob("*") if path.is_file())
    check(f"in it: {', '.join(written)}", "events.sqlite" in written)


class Container:
    """A running container, seen from outside."""

    def __init__(self, process, image, environment):
        self.process = process
        self.image = image
        self._environment = environment

    @property
    def pid(self):
        """Our number of its process 1."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return int(children.split()[0])

    def status(self):
        """Return its `/proc` status, by key."""
        return dict(line.split(":\t", 1) for line in Path(f"/proc/{self.pid}/status").read_text().splitlines())

    def execute(self, *command):
        """Run a command in the container, as `docker exec` does."""
        user, group = self.image["User"].split(":")
        enter = ["nsenter", "--target", str(self.pid), "--mount", "--pid", "--net", "--ipc", "--uts", "--root", "--wd"]
        as_user = ["setpriv", "--reuid", user, "--regid", group, "--clear-groups", "--bounding-set=-all"]
        inside = ["env", "-i", *self._environment, *command]
        return subprocess.run([*enter, *as_user, *inside], text=True, capture_output=True, timeout=30, check=False)


def try_it(container, reader, log):
    began_s = time.monotonic()
    first = reader.read("edgepub/demo/face/detections", "-C", "1")
    check(
        f"the first detections, after {time.monotonic() - began_s:.1f} s, without a network",
        first.stdout,
        log.read_text(),
    )
    payloads = [
        json.loads(line) for line in reader.read("edgepub/demo/face/detections", "-C", "30").stdout.splitlines()
    ]
    labels = {detection["label"] for payload in payloads for detection in payload["detections"]}
    check("30 more, of the demo's face", len(payloads) == 30 and labels == {"face"}, payloads)
    refused = reader.read("#", "-C", "1", XDG_CONFIG_HOME="/nowhere")
    check("a client without a password gets nothing", refused.returncode and not refused.stdout, refused)
    status = container.status()
    rights = [
        status["Uid"].split()[0],
        *(int(status[key], 16) for key in ("CapEff", "CapPrm", "CapBnd")),
        status["NoNewPrivs"],
    ]
    check("it is user 10001, without capabilities", rights == ["10001", 0, 0, 0, "1"], rights)
    tried = container.execute("touch", "/opt/edgepub/x")
    check("the root file system cannot be written", "Read-only" in tried.stderr, tried)
    test = container.image["Healthcheck"]["Test"]
    check("the health check is a command", test[0] == "CMD", test)
    seconds = container.image["Healthcheck"]["StartPeriod"] / 1e9
    answers = (container.execute(*test[1:]) for _ in itertools.count())
    check("and says that it is healthy", wait_until(lambda: next(answers).returncode == 0, seconds), next(answers))
    began_s = time.monotonic()
    os.kill(container.pid, signal.Signals[container.image["StopSignal"]])
    code = container.process.wait(GRACE_S)
    check(f"it stops, in {time.monotonic() - began_s:.1f} s, with 0", code == 0, log.read_text())
    left = reader.read("edgepub/demo/status", "-C", "1").stdout
    check("and has said `offline`", left == "offline\n", left)


def mounted():
    """Return the directory of a container of the image, until the end."""
    container = buildah("from", IMAGE)
    atexit.register(buildah, "rm", container)
    return buildah("mount", container)


def listing(root):
    """Return each file there, with its modification time."""
    found = [path for path in root.rglob("*") if not path.is_dir() or path.is_symlink()]
    return {(str(path), path.lstat().st_mtime_ns, path.lstat().st_size) for path in found}


if __name__ == "__main__":
    sys.exit(main())
