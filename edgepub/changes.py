"""What is to be done when one configuration takes the place of another. Pure."""

from typing import NamedTuple

from edgepub.camera_settings import CameraSettings
from edgepub.settings import ModelSettings, Settings


class Changes(NamedTuple):
    """What is different, as to cameras."""

    everything: bool
    """What all cameras hang on: a new life has to begin."""
    stopped: list[str]
    """Cameras that are there no more, or are to begin anew."""
    started: list[str]
    """Cameras that are new, or are to begin anew."""

    def __str__(self) -> str:
        parts = {
            "restarted": [name for name in self.started if name in self.stopped],
            "new": [name for name in self.started if name not in self.stopped],
            "gone": [name for name in self.stopped if name not in self.started],
        }
        return "; ".join(f"{', '.join(names)} {what}" for what, names in parts.items() if names)


def between(old: Settings, new: Settings) -> Changes:
    """Return what is different."""
    before, after = _cameras(old), _cameras(new)
    return Changes(
        _foundations(old) != _foundations(new),
        [name for name in before if before[name] != after.get(name)],
        [name for name in after if after[name] != before.get(name)],
    )


def _foundations(settings: Settings) -> tuple[object, ...]:
    return settings.node, settings.mqtt.topic_prefix, settings.outbox


def _cameras(settings: Settings) -> dict[str, tuple[CameraSettings, ModelSettings]]:
    return {name: (camera, settings.models[camera.model]) for name, camera in settings.cameras.items()}
