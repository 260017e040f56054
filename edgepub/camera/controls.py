"""What can be set of a camera while the daemon runs: kept over restarts, and told as states."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from edgepub.config.camera import CameraSettings
from edgepub.mqtt.commands import SETTINGS, decode_value
from edgepub.mqtt.messages import state_message
from edgepub.mqtt.outbox.outbox import Outbox
from edgepub.mqtt.store import Store
from edgepub.mqtt.topics import Topics
from edgepub.telemetry.logs import camera_logger

_LONGEST_SHOWN = 40
_log = logging.getLogger(__name__)
Apply = Callable[[Any], None]


class Controls:
    """The settings in force of one camera.

    Args:
        camera: the camera's name.
        settings: what the configuration says.
        topics: where the states go.
        outbox: takes them.
        store: keeps what was set.

    """

    def __init__(self, camera: str, settings: CameraSettings, topics: Topics, outbox: Outbox, store: Store) -> None:
        self._camera = camera
        self._settings = settings
        self._topics = topics
        self._outbox = outbox
        self._store = store
        self._log = camera_logger(_log, camera)
        self._apply: Mapping[str, Apply] = {}

    def value(self, name: str) -> Any:  # noqa: ANN401  (a setting's value)
        """Return the value in force: the one that was set, else the configuration's."""
        text = self._store.setting(self._camera, name)
        if text is not None:
            try:
                return SETTINGS[name].parse(text)
            except ValueError:  # set by another version of edgepub
                self._log.warning("%s was set to %r, which is no value; it is the configuration's", name, text)
        return getattr(self._settings, name)

    @property
    def values(self) -> dict[str, Any]:
        """The values in force, by name."""
        return {name: self.value(name) for name in SETTINGS}

    def begin(self, apply: Mapping[str, Apply]) -> None:
        """Publish every setting's value; from now on they can be set.

        Args:
            apply: lets a setting's value be in force.

        """
        self._apply = apply
        for name in SETTINGS:
            self._publish(name)

    def set(self, name: str, payload: bytes) -> None:
        """Set a setting to what a command says; the value in force is published in any case.

        Args:
            name: which one.
            payload: its new value as a text; empty: the configuration's again.

        Raises:
            ValueError: it is wrong, and changes nothing; why, in words.

        """
        try:
            text = decode_value(payload)
            value = SETTINGS[name].parse(text) if text else None
            self._store.save_setting(self._camera, name, SETTINGS[name].format(value) if text else None)
            self._apply[name](self.value(name))
            self._log.info("%s is set to %s", name, SETTINGS[name].format(self.value(name)))
        except ValueError as error:
            shown = payload[:_LONGEST_SHOWN].decode(errors="replace")
            raise ValueError(f"{name} cannot be set to {shown!r}: {error}") from None
        finally:
            self._publish(name)

    def _publish(self, name: str) -> None:
        self._outbox.put(
            state_message(self._topics.setting(self._camera, name), SETTINGS[name].format(self.value(name)))
        )
