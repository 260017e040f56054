#!/usr/bin/env python3
"""Boots a real systemd on this machine's files, in a temporary layer over them: `boot_lab.py SCRIPT [BIND...]`.

Runs SCRIPT (an executable) as a service there. Prints its output and exits with its exit code. Changes of files are
discarded, there is no network, and no service of this machine starts. BIND is SOURCE:TARGET, mounted read-only. Needs
root, and Debian's systemd-sysv, dbus and systemd-container.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

_TIMEOUT_S = 400
_TARGET = """[Unit]
Requires=basic.target dbus.socket
Wants=edgepub-proof.service
After=basic.target
AllowIsolate=yes
"""
_SERVICE = """[Unit]
After=edgepub-proof.target dbus.socket
[Service]
Type=oneshot
ExecStart=/proof
StandardOutput=append:/out
StandardError=inherit
ExecStopPost=/bin/sh -c 'echo "$EXIT_STATUS" >/status; systemctl --force --force poweroff'
"""
# In a mount namespace of its own. A process in a chroot cannot set up a service's sandbox: so a chroot's root becomes
# the root of that namespace, and the process enters it at its true root.
_ENTER = """
root=$(readlink "/proc/$0/root") || exit 125
if [ "$root" != / ]; then
    cd "$root" && pivot_root . . && umount -l . && cd / || exit 125
fi
exec bash -c "$@"
"""
# The layers' directories are in memory.
_STEPS = """
units=$0 layer=$1 seconds=$2
shift 2
mount -t tmpfs tmpfs "$layer" && mkdir "$layer"/{up,work,root} &&
    mount -t overlay overlay -o "lowerdir=/,upperdir=$layer/up,workdir=$layer/work" "$layer/root" || exit 125
root=$layer/root
# A bare chroot has not mounted it.
[ -e /sys/fs/cgroup/cgroup.procs ] || mount -t cgroup2 cgroup2 /sys/fs/cgroup || exit 125
cp "$units"/* "$root/etc/systemd/system/"
: >"$root/etc/machine-id"
: >"$root/proof"
timeout -k 5 "$seconds" systemd-nspawn --quiet --directory="$root" --register=no --keep-unit --console=pipe "$@" \
    --private-network --boot systemd.unit=edgepub-proof.target </dev/null >"$layer/console" 2>&1
cat "$root/out" 2>/dev/null || tail -n 40 "$layer/console"
exit "$(cat "$root/status" 2>/dev/null || echo 124)"
"""


def why_not():
    """Return why this cannot run here; None if it can."""
    if os.geteuid():
        return "a systemd of its own needs root"
    if not shutil.which("systemd-nspawn") or not Path("/usr/lib/systemd/systemd").exists():
        return "no systemd-nspawn here: apt-get install systemd systemd-sysv dbus systemd-container"
    return None


def boot(script, binds=()):
    """Run a script there; return its exit code (124: it took too long) and its output."""
    with tempfile.TemporaryDirectory(prefix="edgepub-boot-") as scratch:
        units, layer = Path(scratch, "units"), Path(scratch, "layer")
        units.mkdir()
        layer.mkdir()
        (units / "edgepub-proof.target").write_text(_TARGET)
        (units / "edgepub-proof.service").write_text(_SERVICE)
        seen = [f"--bind-ro={path}" for path in (f"{Path(script).resolve()}:/proof", *binds)]
        view = ["nsenter", "--mount=/proc/self/ns/mnt", "unshare", "--mount", "--propagation", "private"]
        steps = [_STEPS, units, layer, str(_TIMEOUT_S), *seen]
        command = [*view, "bash", "-c", _ENTER, str(os.getpid()), *steps]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        return done.returncode, done.stdout + done.stderr


if __name__ == "__main__":
    if reason := why_not():
        sys.exit(reason)
    code, said = boot(sys.argv[1], sys.argv[2:])
    print(said, end="")
    sys.exit(code)
