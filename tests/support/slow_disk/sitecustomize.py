"""Python runs this at the start of a process with this directory in PYTHONPATH: its disk hangs while a file exists."""

import os
import time
from pathlib import Path

_sync = os.fsync


def _fsync(descriptor):
    while Path(os.environ["DISK_HANGS_WHILE"]).exists():
        time.sleep(0.05)
    _sync(descriptor)


os.fsync = _fsync
