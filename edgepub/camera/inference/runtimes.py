"""The runtimes that PySDK has plug-ins for, and the devices that it finds with them on this machine."""

from collections.abc import Mapping
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
    """Return the runtimes that PySDK has plug-ins for, each with its devices on this machine; see `group_devices`.

    This imports PySDK, and runtimes may print what they like.

    Raises:
        ModelError: HOME cannot be written; PySDK would abort the process.

    """
    prepare_import()
    from degirum.CoreClient import system_info

    return group_devices(system_info()["Devices"])


def group_devices(found: Mapping[str, list[dict[str, Any]]]) -> list[RuntimeDevices]:
    """Return the runtimes that PySDK has plug-ins for, accelerators first, and then those that only it knows.

    Args:
        found: what PySDK says of its devices, by device type.

    """
    runtimes = {runtime.name: RuntimeDevices(runtime, probe(runtime), []) for runtime in available_runtimes()}
    for device_type, details in found.items():
        if device_type != _VIRTUAL:
            name = device_type.partition("/")[0]
            runtime = runtime_of(device_type) or Runtime(name, f"{name}, for which edgepub has no advice", "")
            of_runtime = runtimes.setdefault(runtime.name, RuntimeDevices(runtime, Probe(None, (), None), []))
            of_runtime.devices.append(Device(device_type, details))
    return list(runtimes.values())
