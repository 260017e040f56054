"""``edgepub run`` for the demo: the same, but it ends when whoever started it is gone.

``python -m edgepub.demo.daemon FILE`` ends at the end of stdin as at SIGTERM.
"""

import os
import signal
import sys
import threading
from pathlib import Path

from edgepub import daemon


def _stop_with_stdin() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_stop_with_stdin, name="stdin", daemon=True).start()
    sys.exit(daemon.run(Path(sys.argv[1])))
