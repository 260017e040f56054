"""The echo model, and videos for which it gives scripted results."""

import os

from edgepub.cli.bench import echo

_DEVICES = 3
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
BOX = {"bbox": [8, 16, 24, 48], "label": "person", "score": 0.9, "category_id": 0}


class Studio:
    """A zoo with the echo model, and videos for which it gives scripted results."""

    def __init__(self, directory):
        self.zoo = directory / "zoo"
        self.directory = directory

    def model(self, name="echo", **device):
        """Return the settings of an echo model.

        All processes on the computer take turns at a device of its runtime, of which there are three. With one for each
        worker of pytest, a model that is slow or hangs does not delay another worker's test.
        """
        if not (self.zoo / name).exists():
            echo.make_model(self.zoo, name, **{"DeviceMask": 1 << _WORKER % _DEVICES, **device})
        return {"model_name": name, "zoo_url": str(self.zoo), "inference_host_address": "@local"}

    def video(self, results, name="video.avi", fps=25.0, side=echo.SIDE, size=None):
        path = self.directory / name
        echo.make_video(path, results, fps, size, side)
        return str(path)

    def settings(self, url, source, **camera):
        """Return a configuration with one camera, `cam`; tracking and snapshots are off unless asked for."""
        quiet = {"tracking": False, "snapshot": {"enabled": False}}
        return {
            "node": "test",
            "mqtt": {"url": url, "protocol": "3.1.1"},
            "home_assistant": {"enabled": False},
            "models": {"echo": self.model()},
            "cameras": {"cam": {"source": source, "model": "echo", **quiet, **camera}},
        }
