"""What `edgepub discovery` prints."""

from pathlib import Path

from edgepub.config.effective import load_effective
from edgepub.home_assistant.discovery import Discovery, build
from edgepub.mqtt import store


def read_discovery(path: Path) -> Discovery:
    """Return the discovery messages for a configuration file, and notes on what is missing in them.

    Raises:
        ConfigurationError: the configuration is missing or wrong.

    """
    effective = load_effective(path)
    settings, directory = effective.settings, effective.state_dir
    published = store.read_retained_topics(directory)
    messages, notes = build(settings, published or [], former_entities=store.read_entities(directory))
    open_ended = [name for name, camera in settings.cameras.items() if None in camera.labels_by_zone.values()]
    if not settings.home_assistant.enabled:
        notes.insert(0, "home_assistant.enabled is false: nothing is sent")
    elif open_ended:
        known = f"none yet in {directory}" if published is None else f"this output contains those in {directory}"
        note = f"{', '.join(open_ended)}: no labels configured, so they are added when detected: {known}"
        notes.insert(0, note)
    return Discovery(messages, notes)
