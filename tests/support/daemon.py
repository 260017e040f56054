"""The daemon in a separate process."""

import os
import signal
import subprocess
import sys

import yaml

from tests.support.waiting import WAIT_S, wait_until

_RUN_ON = """
import sys
from pathlib import Path
from edgepub.daemon.run import run
sys.exit(run(Path(sys.argv[1]), machine=sys.argv[2]))
"""


class Daemon:
    """`edgepub run` in a separate process; with `machine` as on the machine with this key."""

    def __init__(self, directory, settings, machine=None, **environment):
        self.file = directory / "edgepub.yaml"
        self.file.write_text(yaml.safe_dump(settings))
        self._log = directory / "edgepub.log"
        with self._log.open("wb") as log:
            run = ["-m", "edgepub", "run", "-c", self.file] if machine is None else ["-c", _RUN_ON, self.file, machine]
            self.process = subprocess.Popen(
                [sys.executable, *run],
                stdout=log,
                stderr=log,
                env={**os.environ, **environment},
                start_new_session=True,
            )

    @property
    def log(self):
        return self._log.read_text()

    def wait_for_log(self, text):
        wait_until(lambda: text in self.log or self.process.poll() is not None, f"{text!r} in the log")
        assert text in self.log, self.log

    def wait(self):
        return self.process.wait(2 * WAIT_S)  # a whole video, perhaps on a processor with other load

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
