"""`edgepub devices`: the runtimes and devices that PySDK finds here, and a model for each."""

import contextlib
import json
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from edgepub.camera.inference.known_models import find_model
from edgepub.camera.inference.runtimes import RuntimeDevices, find_devices
from edgepub.core.versions import installed_versions


def describe_devices(*, as_json: bool) -> str:
    """Return what there is, as text for people or as JSON.

    Raises:
        ModelError: HOME cannot be written.

    """
    with _stdout_to_stderr():
        runtimes = find_devices()
    pysdk = installed_versions()["pysdk"]
    if as_json:
        return json.dumps({"pysdk": pysdk, "runtimes": [_as_json(runtime) for runtime in runtimes]}, indent=2)
    return "\n".join(_lines(pysdk, runtimes))


def _as_json(group: RuntimeDevices) -> dict[str, Any]:
    runtime, probe = group.runtime, group.probe
    return {
        "name": runtime.name,
        "title": runtime.title,
        "found": probe.found,
        "wanted": list(probe.wanted),
        "problem": probe.problem,
        "devices": [
            {
                "device_type": device.device_type,
                "count": len(device.details),
                "details": device.details,
                "model": model.settings if (model := find_model(device.device_type)) else None,
            }
            for device in group.devices
        ],
    }


def _lines(pysdk: str, groups: list[RuntimeDevices]) -> Iterator[str]:
    found = [(device, group) for group in groups for device in group.devices]
    yield f"PySDK {pysdk} finds these devices:"
    yield from _columns(
        (device.device_type, _count_text(len(device.details)), _runtime_text(group)) for device, group in found
    )
    yield "\nIt finds no device of these runtimes:"
    yield from _columns(
        (group.runtime.name, group.probe.problem or f"{_runtime_text(group)} works, but no device was found")
        for group in groups
        if not group.devices
    )
    yield "\nA model for each device, to paste into the configuration. Cloud zoos (degirum/...) need the network when a"
    yield "model is first loaded, and may ask for a token of DeGirum's AI Hub: add it as `token`."
    for device, _ in found:
        yield "\n" + _describe_model(device.device_type)


def _runtime_text(group: RuntimeDevices) -> str:
    if group.runtime.plugin and not group.runtime.library:
        return f"{group.runtime.title}, included in PySDK"
    return " ".join(filter(None, [group.runtime.title, group.probe.found]))


def _count_text(number: int) -> str:
    return "1 device" if number == 1 else f"{number} devices"


def _columns(rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """Yield rows as lines, with their cells in columns."""
    cells = list(rows)
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _describe_model(device_type: str) -> str:
    model = find_model(device_type)
    if model is None:
        return f"# {device_type}: a model of your own, in a local zoo; or look for one at https://hub.degirum.com"
    lines = [f"# {device_type}: {model.origin}", "models:", f"  {model.key}:"]
    return "\n".join([*lines, *(f"    {key}: {json.dumps(value)}" for key, value in model.settings.items())])


@contextlib.contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    """Send what native libraries print to stderr: on stdout, only the answer is wanted."""
    sys.stdout.flush()
    saved = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(saved, 1)
        os.close(saved)
