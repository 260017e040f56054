"""The visits that are not over, saved beside the events: they go on after a restart."""

import logging
from collections.abc import Mapping, Sequence

import orjson
from pydantic import TypeAdapter, ValidationError

from edgepub.camera.analysis.saved_visits import SavedVisit
from edgepub.mqtt.outbox.outbox import Outbox

_PREFIX = "visit/"
_VALIDATOR = TypeAdapter(SavedVisit)
_log = logging.getLogger(__name__)


def saved_cameras(outbox: Outbox) -> set[str]:
    """Return the cameras with saved visits."""
    return {name.removeprefix(_PREFIX).partition("/")[0] for name in outbox.saved(_PREFIX)}


def saved_visits(outbox: Outbox, camera: str) -> Sequence[SavedVisit]:
    """Return the saved visits of a camera, the oldest first; remove the damaged ones."""
    visits, damaged = [], []
    for name, content in sorted(outbox.saved(_name(camera, "")).items()):  # version 7 UUIDs begin with the time
        try:
            visit = _VALIDATOR.validate_json(content)
        except ValidationError:
            damaged.append(name)
            continue
        if name == value_name(camera, visit):
            visits.append(visit)
        else:
            damaged.append(name)
    if damaged:
        _log.error("camera %s: damaged visits removed from the file of events: %d", camera, len(damaged))
        outbox.put_numbered([], dict.fromkeys(damaged))
    return visits


def encode_visits(camera: str, visits: Mapping[str, SavedVisit | None]) -> dict[str, bytes | None]:
    """Return visits as values to be saved, by their names.

    Args:
        camera: the camera.
        visits: the visits by `visit_id`; None: it is over.

    """
    return {
        _name(camera, visit_id): None if visit is None else orjson.dumps(visit) for visit_id, visit in visits.items()
    }


def value_name(camera: str, visit: SavedVisit) -> str:
    """Return the name of the value that is a visit of a camera."""
    return _name(camera, visit["visit_id"])


def _name(camera: str, visit_id: str) -> str:
    return f"{_PREFIX}{camera}/{visit_id}"
