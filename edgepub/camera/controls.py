"""The settings of a camera that can be set while the daemon runs: kept over restarts, published as states."""

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

_MAX_QUOTED_BYTES = 40
_log = logging.getLogger(__name__)


def read_setting(name: str, camera: str, settings: CameraSettings, store: Store) -> Any:  # noqa: ANN401  (its value)
    """Return the value of a setting in force: the stored one, else the configuration's."""
    text = store.setting(camera, name)
    if text is not None:
        try:
            return SETTINGS[name].limit(SETTINGS[name].parse(text), getattr(settings, name))
        except ValueError:  # stored by another version of edgepub
            log = camera_logger(_log, camera)
            log.warning("the stored value %r of %s is invalid; using the configuration's", text, name)
    return getattr(settings, name)


class Controls:
    """Sets, stores and publishes the settings of one camera. The constructor publishes all of them.

    Args:
        camera: the camera's name.
        settings: the camera's settings in the configuration.
        topics: the node's topics.
        outbox: takes the states.
        store: keeps the values that were set.
        setters: puts a new value into force, by the setting's name.

    """

    def __init__(
        self,
        camera: str,
        settings: CameraSettings,
        topics: Topics,
        outbox: Outbox,
        store: Store,
        setters: Mapping[str, Callable[[Any], None]],
    ) -> None:
        self._camera = camera
        self._settings = settings
        self._topics = topics
        self._outbox = outbox
        self._store = store
        self._setters = setters
        self._log = camera_logger(_log, camera)
        for name in SETTINGS:
            self._publish(name)

    def value(self, name: str) -> Any:  # noqa: ANN401  (a setting's value)
        """Return the value in force: the one that was set, else the configuration's."""
        return read_setting(name, self._camera, self._settings, self._store)

    @property
    def values(self) -> dict[str, Any]:
        """The values in force, by name."""
        return {name: self.value(name) for name in SETTINGS}

    def set(self, name: str, payload: bytes) -> None:
        """Set a setting, and publish the value in force, also if the new one is invalid.

        Args:
            name: the setting's name.
            payload: the new value as text; empty: the configuration's value.

        Raises:
            ValueError: the payload is invalid; nothing has changed.

        """
        try:
            text = decode_value(payload)
            value = SETTINGS[name].parse(text) if text else None
            if text:
                _check_limit(name, value, getattr(self._settings, name))
            self._store.save_setting(self._camera, name, SETTINGS[name].format(value) if text else None)
            self._setters[name](self.value(name))
            self._log.info("%s is set to %s", name, SETTINGS[name].format(self.value(name)))
        except ValueError as error:
            quoted = payload[:_MAX_QUOTED_BYTES].decode(errors="replace")
            raise ValueError(f"{name} cannot be set to {quoted!r}: {error}") from None
        finally:
            self._publish(name)

    def _publish(self, name: str) -> None:
        value = SETTINGS[name].format(self.value(name))
        self._outbox.put(state_message(self._topics.setting(self._camera, name), value))


def _check_limit(name: str, value: Any, configured: Any) -> None:  # noqa: ANN401  (a setting's value)
    if SETTINGS[name].limit(value, configured) != value:
        raise ValueError("the configuration does not allow it")
