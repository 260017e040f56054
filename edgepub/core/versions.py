"""The versions of what runs here."""

import functools
import platform
from importlib.metadata import version

from edgepub import __version__

_PACKAGES = {"pysdk": "degirum", "degirum_tools": "degirum-tools", "aiomqtt": "aiomqtt", "paho_mqtt": "paho-mqtt"}


@functools.cache  # what runs does not change when something newer is installed meanwhile
def installed_versions() -> dict[str, str]:
    """Return the versions of edgepub, of PySDK and the MQTT libraries, and of Python; read from what is installed."""
    installed = {name: version(package) for name, package in _PACKAGES.items()}
    return {"edgepub": __version__, **installed, "python": platform.python_version()}
