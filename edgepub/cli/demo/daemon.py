"""``edgepub run`` for the demo: it also ends when the process that started it is gone.

``python -m edgepub.cli.demo.daemon FILE`` handles the end of stdin like SIGTERM.
"""

import os
import signal
import sys
import threading
from pathlib import Path

from edgepub.daemon import run


def _stop_with_stdin() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_stop_with_stdin, name="stdin", daemon=True).start()
    sys.exit(run.run(Path(sys.argv[1])))
