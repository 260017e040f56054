"""Prints `docs/settings.md`, from the settings themselves: `python docs/make_settings.py > docs/settings.md`."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from edgepub.config.explain import ENV_PREFIX
from edgepub.config.settings import Settings

Schema = Mapping[str, Any]

HEAD = """\
# Settings

<!-- Printed by docs/make_settings.py; a change belongs into edgepub/settings.py and what it imports. -->

Everything that `edgepub.yaml` can say. `edgepub check` looks a file over, and `edgepub schema config` prints all of
this as a JSON Schema, which an editor can use.

- **Where the file is**: `-c FILE`, else `$EDGEPUB_CONFIG`, else `./edgepub.yaml`, else `/etc/edgepub/edgepub.yaml`.
- **The environment goes before the file**: each key has a variable, named below. A list or an object is written as
  JSON, and the name of a camera, model, zone or line is in capitals: `EDGEPUB_CAMERAS__PORCH__LABELS='["person"]'`. A
  variable that sets nothing is an error.
- **An unknown key is an error**, with the nearest valid one. All mistakes are listed at once; the exit code is 78.
- **Paths** are relative to the folder of the file; `~` is the home of the user that runs edgepub.
- **Names** (of the node, and of cameras, models, zones and lines) have 1 to 64 of the characters `a-z`, `0-9`, `_` and
  `-`. No camera is named `status`, `info` or `stats`: these are topics of the node.
- **Units** are in the names: `_s` seconds, `_fps` frames a second, `_hz` messages a second.
- **While it runs**, `enabled`, `min_score` and `max_fps` of a camera can be set [over MQTT](topics.md#commands), and
  with `http.allow_edit` its zones and lines be saved from its page; what is set there goes before all of this, and
  `edgepub check` says of which cameras zones and lines are saved.

A small file is enough: `models`, `cameras`, and of a camera its `source` and `model`.
"""

EXAMPLE = """\
node: garage
mqtt:
  url: mqtts://broker.lan:8883
  username: edge
  password_file: mqtt_password             # or EDGEPUB_MQTT__PASSWORD, or the credential mqtt_password; not: password
  client_id: edgepub-garage
  protocol: auto
  keepalive_s: 15
  topic_prefix: edgepub
  tls: {ca_file: ca.pem, cert_file: null, key_file: null, insecure: false}
outbox:
  stream: {size: 256}
  durable: {path: null, max_messages: 100000, max_age_s: 86400}
home_assistant: {enabled: true, discovery_prefix: homeassistant}
models:
  coco:
    model_name: yolov8n_coco--640x640_quant_hailort_multidevice_1
    zoo_url: degirum/hailo                 # these two, or both in one, model_url: <zoo_url>/<model_name>
    inference_host_address: "@local"
    token: null
    model_properties: {device_type: [HAILORT/HAILO8L, HAILORT/HAILO8]}
    metadata: {}
cameras:
  porch:
    source_file: porch_url                 # or source: rtsp://10.0.0.5/stream
    model: coco
    enabled: true
    max_fps: 10
    stall_timeout_s: 10
    labels: [person, car]
    min_score: 0.5
    publish: {mode: changes, every: 1, max_rate_hz: null, heartbeat_s: 30, adaptive: false}
    tracking: true
    track_lost_s: 3
    occupancy_on_frames: 3
    occupancy_off_s: 2
    zones:
      driveway: {polygon: [[0.1, 0.5], [0.9, 0.5], [0.9, 1.0], [0.1, 1.0]], labels: null, anchor: bottom_center}
    lines:
      gate: {from: [0.5, 0.0], to: [0.5, 1.0], labels: [person], anchor: bottom_center}
    snapshot: {enabled: true, boxes: true, quality: 80, max_width: 1280, min_interval_s: 5}
  rehearsal:
    source: film.mp4                       # a file stands in for a camera
    loop: true
    realtime: true
    model: coco
stats: {interval_s: 10}
http:
  listen: 0.0.0.0:9090
  token_file: http_token                   # or the credential http_token
  allow_edit: true
  max_viewers: 16
  hosts: [garage.example.org]
log: {level: info, format: auto}
startup_timeout_s: 30
"""

_ITEMS = {"models": "coco", "cameras": "porch", "zones": "driveway", "lines": "gate"}
_DEFAULTS = {"node": "the host name", "model_properties": "`{}`", "metadata": "`{}`"}
_KINDS = {
    "integer": "whole number",
    "number": "number",
    "boolean": "`true`, `false`",
    "object": "keys with values",
    "path": "path",
    "password": "text, secret",
}
_COLUMNS = "| key | what it is | default | meaning | variable |\n|---|---|---|---|---|"


class Key(NamedTuple):
    """A key of the configuration."""

    path: tuple[str, ...]
    schema: Schema
    required: bool

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return ENV_PREFIX + "__".join(self.path).upper()


class Section(NamedTuple):
    """Keys that stand together."""

    path: tuple[str, ...]
    text: str
    keys: list[Key]


def sections() -> Iterator[Section]:
    """Yield all sections, each before those in it."""
    whole = Settings.model_json_schema()
    yield from _below((), whole, "", whole["$defs"])


def page() -> str:
    """Return the page."""
    parts = [HEAD]
    for section in sections():
        parts.append(f"{_level(section.path)} {_title(section.path)}\n")
        if section.text:
            parts.append(section.text + "\n")
        if section.keys:
            parts.append("\n".join([_COLUMNS, *map(_row, section.keys)]) + "\n")
    parts.append(
        "## A whole example\n\nEvery key, though nobody needs them all; most say here what they are by default.\n"
    )
    parts.append(f"```yaml\n{EXAMPLE}```")
    return "\n".join(parts)


def _below(path: tuple[str, ...], schema: Schema, text: str, defs: Mapping[str, Schema]) -> Iterator[Section]:
    keys, inner = [], []
    for name, its in schema["properties"].items():
        named = its.get("additionalProperties")
        if isinstance(named, dict) and "$ref" in named:
            inner.append(((*path, name, _ITEMS[name]), _resolved(named, defs), its.get("description", "")))
        elif "$ref" in its:
            inner.append(((*path, name), _resolved(its, defs), its.get("description", "")))
        else:
            keys.append(Key((*path, name), its, name in schema.get("required", ())))
    own = "" if not path else " ".join(filter(None, [schema["description"], text]))
    yield Section(path, _flowing(own), keys)
    for each in inner:
        yield from _below(*each, defs)


def _resolved(schema: Schema, defs: Mapping[str, Schema]) -> Schema:
    return defs[schema["$ref"].rpartition("/")[2]]


def _title(path: tuple[str, ...]) -> str:
    names = {value: f"<{key[:-1]}>" for key, value in _ITEMS.items()}
    return f"`{'.'.join(names.get(part, part) for part in path)}`" if path else "At the top"


def _level(path: tuple[str, ...]) -> str:
    """Return what a heading begins with."""
    return "##" if len([part for part in path if part not in _ITEMS]) <= 1 else "###"


def _row(key: Key) -> str:
    default = (
        "required" if key.required else _DEFAULTS.get(key.path[-1]) or f"`{json.dumps(key.schema.get('default'))}`"
    )
    meaning = _flowing(key.schema.get("description", ""))
    return f"| `{key.path[-1]}` | {_kind(key.schema)} | {default} | {meaning} | `{key.variable}` |"


def _flowing(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("``", "`")


def _kind(schema: Schema) -> str:
    """Return what a value is, for a person."""
    if "anyOf" in schema:
        kinds = [_kind(each) for each in schema["anyOf"] if each.get("type") != "null"]
        return " or ".join([*kinds, *["null" for each in schema["anyOf"] if each.get("type") == "null"]])
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"])
    if schema.get("type") == "array":
        return _list(schema)
    kind = _KINDS.get(schema.get("format", ""), _KINDS.get(schema.get("type", ""), "text"))
    return kind + _bounds(schema)


def _list(schema: Schema) -> str:
    if "prefixItems" in schema:
        return "`[x, y]`"
    least = schema.get("minItems", 0)
    return f"list of {_kind(schema['items'])}" + (f", {least} at least" if least > 1 else "")


def _bounds(schema: Schema) -> str:
    above, least, most = (schema.get(key) for key in ("exclusiveMinimum", "minimum", "maximum"))
    if above is not None:
        return f" above {above:g}, up to {most:,}"
    return "" if least is None else f", {least:,g} to {most:,}"


if __name__ == "__main__":
    print(page())
