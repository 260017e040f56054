"""What `edgepub check` says about a configuration without mistakes."""

import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgepub.config.effective import EffectiveSettings
from edgepub.config.model_labels import find_unfindable
from edgepub.config.searching import find_models
from edgepub.config.settings import Settings
from edgepub.home_assistant import discovery
from edgepub.home_assistant.device import Payload, count_entities
from edgepub.mqtt import store
from edgepub.mqtt.label_levels import topic_level
from edgepub.mqtt.topics import OCCUPANCY_SUFFIX, Topics

_MAX_NAMED = 3
_MIN_FPS = 0.5
"""At a lower rate, a person who walks through the picture is in too few frames."""
_MAX_SLASHES = 7
"""In a topic, for some brokers: AWS IoT Core ends the session over more (AWS IoT Core endpoints and quotas)."""


def notes(effective: EffectiveSettings) -> Iterator[str]:
    """Yield a line for each saved setting in force, and for what Home Assistant or the broker may not take."""
    yield from effective.notes()
    published = store.read_retained_topics(effective.state_dir) or []
    settings = effective.settings
    announced = discovery.build(settings, published)
    found = [*_entity_notes(settings, list(announced.messages.values())), *announced.notes]
    found += [*_topic_notes(settings), *_label_notes(settings), *_blur_notes(settings)]
    found += [
        f"cameras.{name}: in its user and password, {camera.encoded_in_login} must be percent-encoded; edgepub does it"
        for name, camera in settings.cameras.items()
        if camera.encoded_in_login
    ]
    found += _rate_notes(settings)
    found += _directory_notes(settings.outbox.durable.path)
    yield from (f"{effective.path}: {note}" for note in found)


def _entity_notes(settings: Settings, payloads: Sequence[Payload]) -> Iterator[str]:
    """Yield a line with the number of entities in Home Assistant, for the node and the cameras that have most."""
    if not payloads:
        return
    total, enabled = count_entities(*payloads)
    node, *cameras = (count_entities(payload).total for payload in payloads)
    largest = sorted(zip(settings.cameras, cameras, strict=True), key=lambda pair: -pair[1])
    parts = [f"{node} of the node", *(f"{number} of {name}" for name, number in largest[:_MAX_NAMED])]
    if rest := [number for _, number in largest[_MAX_NAMED:]]:
        parts.append(f"{sum(rest)} of {len(rest)} more")
    grows = any(None in camera.labels_by_zone.values() for camera in settings.cameras.values())
    later = "; without labels, more are added when they are detected" if grows else ""
    yield f"Home Assistant gets {total} entities, {enabled} of them enabled: {', '.join(parts)}{later}"


def _topic_notes(settings: Settings) -> Iterator[str]:
    topics = Topics(settings.mqtt.topic_prefix, settings.node)
    counts = [
        topics.object_count(name, zone, "<label>") + OCCUPANCY_SUFFIX
        for name, camera in settings.cameras.items()
        for zone in [None, *camera.zones]
    ]
    deepest = max(counts, key=lambda topic: topic.count("/"))
    if (slashes := deepest.count("/")) > _MAX_SLASHES:
        yield (
            f"mqtt.topic_prefix: topics have up to {slashes} slashes, as in {deepest}; some brokers end the session "
            f"over more than {_MAX_SLASHES}, AWS IoT Core for one: if yours does, use a prefix of fewer levels"
        )


def _label_notes(settings: Settings) -> Iterator[str]:
    """Yield a line for labels that have the same topic. What a model detects besides is not known here."""
    for name, camera in settings.cameras.items():
        by_level = defaultdict(list)
        for label in camera.all_labels:
            by_level[topic_level(label)].append(label)
        for level, labels in by_level.items():
            if len(labels) > 1:
                same = " and ".join(map(repr, labels))
                yield f"cameras.{name}: the labels {same} are counted together: each becomes the topic level {level!r}"


def _blur_notes(settings: Settings) -> Iterator[str]:
    """Yield a line for what is to be blurred and cannot be found."""
    for name, camera in settings.cameras.items():
        blur, pipeline = camera.snapshot.blur or [], settings.pipeline_of(camera)
        for why in find_unfindable([] if camera.text_labels else blur, pipeline, {}):
            yield f"cameras.{name}.snapshot.blur: {why}: so no picture will leave the node"
        if blur and camera.region:
            yield f"cameras.{name}: nothing is looked for outside of the region, so pictures are blurred there"
        for model in find_models(pipeline, blur):
            method = settings.models[model].model_properties.input_pad_method or ""
            if method.startswith("crop"):
                yield (
                    f"models.{model}.model_properties: with input_pad_method {method}, the model does not see the "
                    f"borders of a picture, so no picture of cameras.{name} will leave the node; use letterbox"
                )


def _rate_notes(settings: Settings) -> Iterator[str]:
    """Yield a line for each camera that is too slow to follow what moves."""
    for name, camera in settings.cameras.items():
        capture = camera.capture
        limits = {"max_fps": camera.max_fps, "capture.fps": capture.fps, "capture.poll_s": 1 / capture.poll_s}
        slow = {key: fps for key, fps in limits.items() if fps is not None and fps < _MIN_FPS}
        if camera.tracking and slow:
            key, fps = min(slow.items(), key=lambda item: item[1])
            yield (
                f"cameras.{name}.{key}: at {fps:g} frames per second, what moves cannot be followed, and has no visits "
                f"or several; what stands still has one. Use at least {_MIN_FPS:g}"
            )
        elif camera.tracking and capture.decode == "keyframes":
            yield (
                f"cameras.{name}.capture.decode: how often key frames come is set in the camera. If less often than "
                f"every {1 / _MIN_FPS:g} s, what moves cannot be followed"
            )


def _directory_notes(path: Path | None) -> Iterator[str]:
    """Yield a line if the directory of the events cannot be used by the user who runs this."""
    if path is None:
        return
    try:
        there = next(directory for directory in (path, *path.parents) if directory.exists())
        Path(tempfile.mkdtemp(dir=there)).rmdir()  # permissions do not tell it: root cannot write in /proc
    except OSError as error:
        why = error.strerror
    else:
        return
    yield f"outbox.durable.path: this user cannot write in {path}: {why}; without it, events are kept in memory only"
