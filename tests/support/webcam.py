"""A webcam for a program in a process of its own: `v4l2_standin.c` in the place of the kernel's driver."""

import os
import pty
import shutil
import subprocess
import threading
import tty
from functools import cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest

from tests.support import films

SOURCE = Path(__file__).with_name("v4l2_standin.c")


@cache
def can_compile():
    command = ["gcc", "-fsyntax-only", str(SOURCE)]
    return bool(shutil.which("gcc")) and not subprocess.run(command, capture_output=True, check=False).returncode


def needs_webcam(test):
    """Mark a test that needs the stand-in."""
    return pytest.mark.skipif(not can_compile(), reason="no C compiler here: apt-get install gcc libc6-dev")(test)


class Driver(NamedTuple):
    """The stand-in, and what its webcams give."""

    library: Path
    frames: list[Path]
    """A file for each format and size."""


def make_driver(directory, *modes):
    """Make the stand-in for webcams with these formats and sizes, as in `YUYV-640x480`."""
    driver = Driver(directory / "v4l2.so", [directory / mode for mode in modes])
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", driver.library, SOURCE, "-ldl"], check=True)
    for path in driver.frames:
        _write_frames(path)
    return driver


class StandInWebcam:
    """A webcam that gives numbered pictures at its rate; a context manager.

    Args:
        directory: a directory for it.
        driver: the stand-in.

    """

    def __init__(self, directory, driver):
        self.directory = directory
        self.environment = {"LD_PRELOAD": str(driver.library), "V4L2_STANDIN": str(directory)}
        for path in driver.frames:
            (directory / path.name).symlink_to(path)
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self.device = Path(os.ttyname(self._slave))
        (directory / "device").write_text(str(self.device))
        self.paused = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="webcam")

    @property
    def fps(self):
        """The frame rate that was asked for."""
        return int((self.directory / "fps").read_text())

    def unplug(self):
        """Unplug it: its reader gets an error."""
        self._ended.set()
        self._thread.join()
        for end in (self._slave, self._master):
            if end is not None:
                os.close(end)
        self._slave = self._master = None

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        if self._master is not None:
            self.unplug()

    def _run(self):
        while not self._ended.wait(1 / 25):
            if not self.paused.is_set():
                os.write(self._master, b".")


def _write_frames(path, count=100):
    fourcc, _, size = path.name.partition("-")
    width, height = (int(side) for side in size.split("x"))
    with path.open("wb") as file:
        for number in range(count):
            image = films.picture(number, width, height)
            if fourcc == "MJPG":
                content = cv2.imencode(".jpg", image)[1].tobytes()
            else:
                content = cv2.cvtColor(image, cv2.COLOR_BGR2YUV_YUY2).tobytes()
            file.write(np.uint32(len(content)).tobytes() + content)
