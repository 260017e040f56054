"""The runtimes that PySDK has plug-ins for, and the devices that it finds with them on this machine."""

from dataclasses import dataclass
from typing import Any

from edgepub.camera.inference.plugins import Probe, Runtime, available_runtimes, probe, runtime_of
from edgepub.camera.inference.preparation import prepare_import

_VIRTUAL = "DUMMY/DUMMY"  # PySDK's own, for tests


@dataclass(frozen=True, slots=True)
class Device:
    """All devices of one type."""

    device_type: str
    """As in `device_type` of a model's properties, like `HAILORT/HAILO8`."""
    details: list[dict[str, Any]]
    """What PySDK says of each of them, in its own words."""


@dataclass(frozen=True, slots=True)
class RuntimeDevices:
    """A runtime and its devices on this machine."""

    runtime: Runtime
    probe: Probe
    devices: list[Device]


def find_devices() -> list[RuntimeDevices]:
    """Return the runtimes that PySDK has plug-ins for, accelerators first, each with its devices on this machine.

    This imports PySDK, and runtimes may print what they like.

    Raises:
        ModelError: HOME cannot be written; PySDK would abort the process.

    """
    prepare_import()
    from degirum.CoreClient import system_info

    there = [Device(name, details) for name, details in system_info()["Devices"].items() if name != _VIRTUAL]
    return [
        RuntimeDevices(
            runtime, probe(runtime), [device for device in there if runtime_of(device.device_type) is runtime]
        )
        for runtime in available_runtimes()
    ]
