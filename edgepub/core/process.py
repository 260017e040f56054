"""Ends the process."""

import contextlib
import logging
import os
import sys

import psutil


def exit_now(code: int) -> None:
    """End the process and its children, among them PySDK's workers, without waiting for any thread."""
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            child.kill()
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
