"""The versions of edgepub and the libraries it uses."""

import functools
import platform
from importlib.metadata import version

from edgepub import __version__

_PACKAGES = {"pysdk": "degirum", "degirum_tools": "degirum-tools", "aiomqtt": "aiomqtt", "paho_mqtt": "paho-mqtt"}


@functools.cache  # an upgrade of a package does not change the process that is running
def installed_versions() -> dict[str, str]:
    """Return the versions of edgepub, PySDK, the MQTT libraries and Python, read from the installed packages."""
    installed = {name: version(package) for name, package in _PACKAGES.items()}
    return {"edgepub": __version__, **installed, "python": platform.python_version()}
