"""What can be set of a camera while the daemon runs: kept over restarts, and told as states."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from edgepub.camera_settings import CameraSettings
from edgepub.commands import SETTINGS, text_of
from edgepub.logs import of_camera
from edgepub.messages import Received, state
from edgepub.outbox import Outbox
from edgepub.store import Store
from edgepub.topics import Topics

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
        self._log = of_camera(_log, camera)
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
            text = text_of(payload)
            value = SETTINGS[name].parse(text) if text else None
            self._store.keep_setting(self._camera, name, SETTINGS[name].show(value) if text else None)
            self._apply[name](self.value(name))
            self._log.info("%s is set to %s", name, SETTINGS[name].show(self.value(name)))
        except ValueError as error:
            shown = payload[:_LONGEST_SHOWN].decode(errors="replace")
            raise ValueError(f"{name} cannot be set to {shown!r}: {error}") from None
        finally:
            self._publish(name)

    def _publish(self, name: str) -> None:
        self._outbox.put(state(self._topics.setting(self._camera, name), SETTINGS[name].show(self.value(name))))


class Commander:
    """Takes what comes from the broker to the camera that it is for.

    Args:
        topics: the node's.
        controls: of each camera.

    """

    def __init__(self, topics: Topics, controls: Mapping[str, Controls]) -> None:
        self._topics = topics
        self._controls = controls

    def obey(self, message: Received) -> None:
        """Do what a message says, if it is a command; one that the broker has kept is of another time."""
        camera, name = self._topics.command(message.topic) or ("", "")
        if camera not in self._controls or name not in SETTINGS:
            _log.warning("no such setting: %r", message.topic[:200])
        elif message.retained:
            text = "a retained command for %s is not obeyed: publish it without retain"
            of_camera(_log, camera).warning(text, name)
        else:
            try:
                self._controls[camera].set(name, message.payload)
            except ValueError as error:
                of_camera(_log, camera).warning("%s", error)
