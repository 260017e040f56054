"""The service in a real systemd: see `systemd_proof.py` for what is done there, and `boot_lab.py` for where."""

import os
import stat
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from edgepub.cli.demo import assets
from tests.support import boot_lab
from tests.support.brokers import HAS_MOSQUITTO

HERE = Path(__file__).parent


def why_not():
    version = subprocess.run(
        ["/usr/bin/python3", "-c", "import sys; print(sys.version_info[:2])"],
        capture_output=True,
        text=True,
        check=False,
    )
    if version.stdout.strip() != str(sys.version_info[:2]):
        return "the service is tried with Debian's own Python, and this one is another"
    if not HAS_MOSQUITTO:
        return "no Mosquitto here: apt-get install mosquitto mosquitto-clients"
    return boot_lab.why_not()


@pytest.mark.systemd
@pytest.mark.usefixtures("demo_assets")
@pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
def test_the_service(tmp_path):
    device = tmp_path / "hailo0"  # any that everybody may open
    os.mknod(device, stat.S_IFCHR, os.makedev(10, 229))
    device.chmod(0o666)
    binds = [
        f"{device}:/dev/hailo0",
        f"{HERE.parents[1]}:/run/proof/project",
        f"{sysconfig.get_path('purelib')}:/run/proof/dependencies",
        f"{assets.cache_dir()}:/run/proof/demo",
    ]
    code, said = boot_lab.boot(HERE / "systemd_proof.py", binds)
    print(said)
    assert code == 0, said
