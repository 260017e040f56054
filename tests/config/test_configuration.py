"""Reading the configuration, and the line for each mistake."""

import dataclasses
import os
from pathlib import Path

import pytest
import yaml

from edgepub.camera.inference.loading import make_spec_fields
from edgepub.config.load import default_config_path, load_node_settings, load_settings
from edgepub.config.secrets import read_broker_password, read_http_token
from edgepub.config.settings import ModelSettings
from edgepub.config.source import Webcam
from edgepub.core.errors import ConfigurationError

GONE = object()
NO_URL = "cameras.porch.source: looks like a URL without its protocol: begin with rtsp:// or another (a file: with ./)"
COMMAND = "a command must be a list of a program and its arguments, all texts: [ffmpeg, -i, ...]"
NO_CAMERA = "cameras.porch.source: must be rpicam:0, or another number"
ENCODINGS = "write @ as %40, # as %23, / as %2F, ? as %3F, : as %3A, % as %25"
NO_PROTOCOL = (
    "is no protocol of a camera: begin with one of rtsp://, rtsps://, http://, https://, rtmp://, rtmps://, srt://, "
    "udp://, rtp://, tcp://, tls://, or write only a file's path"
)
NO_HOST = "must be @local, @cloud, an AI server, or a list like [10.0.0.8:8778, 10.0.0.9:8778]"
GOOD = """
node: garage
models:
  coco: {model_name: yolo, zoo_url: degirum/hailo, inference_host_address: "@local"}
cameras:
  porch: {source: rtsp://10.0.0.5/stream, model: coco}
"""

AXELERA = """
coco:
  model_name: yolov8n_coco--640x640_quant_axelera_metis_1
  zoo_url: degirum/axelera
  inference_host_address: "@local"
  model_properties:
    device_type: [AXELERA/METIS]
"""

HAILO = """
coco:
  model_name: yolov8n_coco--640x640_quant_hailort_multidevice_1
  zoo_url: degirum/hailo
  inference_host_address: "@local"
  model_properties:
    device_type: [HAILORT/HAILO8L, HAILORT/HAILO8]
"""


def load(directory, text, **options):
    path = directory / "edgepub.yaml"
    path.write_text(text)
    return load_settings(path, **options)


def mistakes(directory, text):
    with pytest.raises(ConfigurationError) as caught:
        load(directory, text)
    return [line.removeprefix(f"{directory / 'edgepub.yaml'}: ") for line in caught.value.mistakes]


def changed(**sections):
    """Return the good configuration with some keys replaced, or removed (GONE)."""
    content = yaml.safe_load(GOOD)
    for path, value in sections.items():
        *above, last = path.split("__")
        place = content
        for key in above:
            place = place.setdefault(key, {})
        if value is GONE:
            del place[last]
        else:
            place[last] = value
    return yaml.safe_dump(content)


def test_a_small_configuration_is_enough(tmp_path):
    settings = load(tmp_path, GOOD)
    assert settings.mqtt.url == "mqtt://127.0.0.1:1883"
    assert settings.client_id == "edgepub-garage"
    assert settings.cameras["porch"].min_score == 0.5
    assert settings.outbox.stream.size == 256


def test_settings_are_frozen(tmp_path):
    settings = load(tmp_path, GOOD)
    with pytest.raises(ValueError, match="frozen"):
        settings.node = "other"
    with pytest.raises(ValueError, match="frozen"):
        settings.cameras["porch"].model = "other"


TRIANGLE = [[0, 0], [1, 0], [1, 1]]

# Each entry: a change of the good configuration, and the line that reports it.
WRONG = [
    ({"node": "Garage!"}, "node: the name must have 1 to 64 characters of a-z, 0-9, '_' and '-'"),
    ({"node": "x" * 65}, "node: the name must have 1 to 64 characters of a-z, 0-9, '_' and '-'"),
    ({"node": False}, "node: must be a valid string"),
    ({"nodes": "garage"}, "nodes: unknown key; did you mean 'node'?"),
    ({"http__listen": "example.org:9464"}, "http.listen: must be an address and a port like 127.0.0.1:9464 or [::1]:9464, or only a port, 1 to 65535"),
    ({"http__listen": 0}, "http.listen: must be an address and a port like 127.0.0.1:9464 or [::1]:9464, or only a port, 1 to 65535"),
    ({"http__hosts": ["http://edge.lan"]}, "http.hosts.0: must be only a host name like edge.example.org, without http://, port and path"),
    ({"http__hosts": ["edge.lan", "edge.lan:9464"]}, "http.hosts.1: must be only a host name like edge.example.org, without http://, port and path"),
    ({"http__hosts": ["edge.lan/x"]}, "http.hosts.0: must be only a host name like edge.example.org, without http://, port and path"),
    ({"http__hosts": ["*"]}, "http.hosts.0: must be only a host name like edge.example.org, without http://, port and path"),
    ({"http__hosts": "edge.lan"}, "http.hosts: must be a list, like [person, car]"),
    ({"http__max_viewers": 0}, "http.max_viewers: must be at least 1"),
    ({"http__token": "a-token-in-this-file"}, "http.token: unknown key; did you mean 'token_file'?"),
    ({"http__token_file": "/nowhere"}, "http.token_file: no such file: /nowhere"),
    ({"log": {"format": "xml"}}, "log.format: must be 'auto' or 'json'"),
    ({"startup_timeout_s": 0}, "startup_timeout_s: must be at least 1"),
    ({"mqtt": "mqtt://127.0.0.1"}, "mqtt: must be a mapping (keys and values below it), not a single value"),
    ({"mqtt__url": "127.0.0.1"}, "mqtt.url: must begin with one of mqtt://, mqtts://, ws://, wss://, unix://, like mqtt://127.0.0.1:1883"),
    ({"mqtt__url": "http://h"}, "mqtt.url: must begin with one of mqtt://, mqtts://, ws://, wss://, unix://, like mqtt://127.0.0.1:1883"),
    ({"mqtt__url": "mqtt://"}, "mqtt.url: has no valid host; write it like mqtt://127.0.0.1:1883"),
    ({"mqtt__url": "mqtt://h:0"}, "mqtt.url: has no valid host; write it like mqtt://127.0.0.1:1883"),
    ({"mqtt__url": "mqtt://h:99999"}, "mqtt.url: must be a URL like mqtt://127.0.0.1:1883"),
    ({"mqtt__url": "mqtt://h:port"}, "mqtt.url: must be a URL like mqtt://127.0.0.1:1883"),
    ({"mqtt__url": "mqtt://h/path"}, "mqtt.url: must end after the host and port, like mqtt://127.0.0.1:1883"),
    ({"mqtt__url": "mqtt://h?q"}, "mqtt.url: must end after the host and port, like mqtt://127.0.0.1:1883"),
    ({"mqtt__url": "wss://h/path?q#x"}, "mqtt.url: must have no '#', which brokers do not receive, and no space; write them as %23 and %20"),
    ({"mqtt__url": "wss://h#"}, "mqtt.url: must have no '#', which brokers do not receive, and no space; write them as %23 and %20"),
    ({"mqtt__url": "ws://h/a b"}, "mqtt.url: must have no '#', which brokers do not receive, and no space; write them as %23 and %20"),
    ({"mqtt__url": "ws://h/a\r\nb"}, "mqtt.url: has the character U+000D, which MQTT does not allow; remove it"),
    ({"mqtt__password": "\ud800", "mqtt__username": "me"}, "mqtt: the password is not UTF-8 text"),
    ({"mqtt__password": "ü" * 40_000, "mqtt__username": "me"}, "mqtt: the password has 80000 bytes; MQTT allows 65535"),
    ({"mqtt__username": "ü" * 40_000}, "mqtt.username: must have at most 65535 bytes, not 80000"),
    ({"mqtt__url": "mqtt://u:secret@h"}, "mqtt.url: put the user into mqtt.username and the password into mqtt.password_file, not into the URL"),
    ({"mqtt__url": "unix://run/socket"}, "mqtt.url: write a unix socket as unix:///run/mosquitto.sock, with three slashes"),
    ({"mqtt__url": f"unix:///{'é' * 53}a"}, "mqtt.url: the path of a unix socket can have 107 bytes, not 108"),
    ({"mqtt__url": "unix:///run/s?x"}, "mqtt.url: write a unix socket as unix:///run/mosquitto.sock, with three slashes"),
    ({"mqtt__url": "mqtt://broker..local"}, "mqtt.url: has no valid host; write it like mqtt://127.0.0.1:1883"),
    ({"mqtt__username": "me", "mqtt__password": ""}, "mqtt.password: must not be empty"),
    ({"mqtt__username": "me", "mqtt__password": None}, "mqtt: password is empty: set one, or remove the key"),
    ({"mqtt__password:s3cret": None}, "mqtt.password: a space is missing after the colon"),
    ({"mqtt__password_file": "~nobody-of-this-name/x"}, "mqtt.password_file: could not determine home directory: ~nobody-of-this-name/x"),
    ({"mqtt__password_file": "/"}, "mqtt.password_file: cannot be read: Is a directory: /"),
    ({"mqtt__password_file": "x\0y"}, "mqtt.password_file: not a valid file name"),
    ({"mqtt__keepalive_s": True}, "mqtt.keepalive_s: must be a number, not yes or no"),
    ({"mqtt__user": "me"}, "mqtt.user: unknown key; did you mean 'username'?"),
    ({"mqtt__username": ""}, "mqtt.username: must not be empty"),
    ({"mqtt__password": "secret"}, "mqtt: a password needs a username"),
    ({"mqtt__password_file": "/nowhere"}, "mqtt.password_file: no such file: /nowhere"),
    ({"mqtt__keepalive_s": 0}, "mqtt.keepalive_s: must be at least 1"),
    ({"mqtt__keepalive_s": "often"}, "mqtt.keepalive_s: must be a whole number, without a unit"),
    ({"mqtt__keepalive": 15}, "mqtt.keepalive: unknown key; did you mean 'keepalive_s'?"),
    ({"mqtt__protocol": "4"}, "mqtt.protocol: must be 'auto', '5' or '3.1.1'"),
    ({"mqtt__topic_prefix": "a/#"}, "mqtt.topic_prefix: must have no '+', '#' or empty level, and no '$' at the start, like 'edgepub' or 'site/edgepub'"),
    ({"mqtt__topic_prefix": "/a"}, "mqtt.topic_prefix: must have no '+', '#' or empty level, and no '$' at the start, like 'edgepub' or 'site/edgepub'"),
    *(({"mqtt__topic_prefix": prefix}, "mqtt.topic_prefix: must have no white space at the start or the end of a level; remove it") for prefix in (" ", "edgepub ", "site/ edgepub", "site\u00a0/edgepub")),
    ({"home_assistant": {"discovery_prefix": " "}}, "home_assistant.discovery_prefix: must have no white space at the start or the end of a level; remove it"),
    ({"startup_timeout_s": "1_0"}, "startup_timeout_s: must be a number, without '_'"),
    ({"outbox__durable__max_messages": "1_000"}, "outbox.durable.max_messages: must be a number, without '_'"),
    ({"mqtt__topic_prefix": "$SYS"}, "mqtt.topic_prefix: must have no '+', '#' or empty level, and no '$' at the start, like 'edgepub' or 'site/edgepub'"),
    ({"mqtt__client_id": ""}, "mqtt.client_id: must not be empty"),
    ({"mqtt__tls": {"insecure": True}}, "mqtt: tls has no effect with mqtt://; use mqtts:// or wss://, or remove tls"),
    ({"mqtt__tls": {"ca_file": "/no/ca.pem"}}, "mqtt.tls.ca_file: no such file: /no/ca.pem"),
    ({"mqtt__tls": {"cafile": "x"}}, "mqtt.tls.cafile: unknown key; did you mean 'ca_file'?"),
    ({"outbox__stream__size": 0}, "outbox.stream.size: must be at least 1"),
    ({"outbox__stream__sise": 9}, "outbox.stream.sise: unknown key; did you mean 'size'?"),
    ({"outbox__durable__max_messages": 0}, "outbox.durable.max_messages: must be at least 1"),
    ({"outbox__durable__max_age": 9}, "outbox.durable.max_age: unknown key; did you mean 'max_age_s'?"),
    ({"outbox__durable__path": "/etc/passwd"}, "outbox.durable.path: is a file, not a directory: /etc/passwd"),
    ({"log__level": "loud"}, "log.level: must be 'debug', 'info', 'warning' or 'error'"),
    ({"models": GONE}, "models: is missing"),
    ({"models__coco": GONE}, "models: needs at least one"),
    ({"models__Coco": {"model_name": "a", "zoo_url": "b", "inference_host_address": "@local"}}, "models.Coco: the name must have 1 to 64 characters of a-z, 0-9, '_' and '-'"),
    ({"models__coco__model_name": GONE}, "models.coco: model_name is missing (or model_url)"),
    ({"models__coco__zoo_url": GONE}, "models.coco: zoo_url is missing: @local needs one"),
    ({"models__coco__inference_host_address": ""}, "models.coco: inference_host_address must be @local, @cloud, or the host of an AI server"),
    ({"models__coco__inference_host_address": "@locl"}, "models.coco: inference_host_address must be @local, @cloud, or the host of an AI server"),
    ({"models__coco__inference_host_address": 5}, f"models.coco.inference_host_address: {NO_HOST}"),
    ({"models__coco__inference_host_address": []}, f"models.coco.inference_host_address: {NO_HOST}"),
    ({"models__coco__inference_host_address": [8778]}, f"models.coco.inference_host_address: {NO_HOST}"),
    ({"models__coco__inference_host_address": ["10.0.0.8", "@local"]}, "models.coco.inference_host_address: a list can have AI servers only: write @local alone, or remove it from the list"),
    ({"models__coco__inference_host_address": ["@cloud", "10.0.0.8"]}, "models.coco.inference_host_address: a list can have AI servers only: write @cloud alone, or remove it from the list"),
    ({"models__coco__inference_host_address": ["a.lan", "b.lan", "A.lan:8778"]}, "models.coco.inference_host_address: has the AI server A.lan:8778 twice"),
    ({"models__coco": {"model_name": "m", "zoo_url": "./zoo", "inference_host_address": ["a", "b"]}}, "models.coco: the zoo is a directory on this machine: set inference_host_address to \"@local\""),
    ({"models__coco__model_url": "zoo/yolo"}, "models.coco: model_url replaces model_name and zoo_url: remove these two"),
    ({"models__coco": {"model_url": "yolo"}}, "models.coco: model_url must be <zoo_url>/<model_name>"),
    ({"models__coco__device_type": "HAILORT/HAILO8"}, "models.coco.device_type: unknown key"),
    ({"models__coco__model_propertys": {}}, "models.coco.model_propertys: unknown key; did you mean 'model_properties'?"),
    ({"models__coco__model_properties": [1]}, "models.coco.model_properties: must be a mapping (keys and values below it), not a list"),
    ({"cameras": GONE}, "cameras: is missing"),
    ({"cameras__porch": GONE}, "cameras: needs at least one"),
    ({"cameras": None}, "cameras: is empty"),
    ({"cameras__porch__url": "rtsp://h"}, "cameras.porch.url: unknown key; did you mean 'source'?"),
    ({"models__coco__model": "yolo"}, "models.coco.model: unknown key; did you mean 'model_name'?"),
    ({"mqtt__host": "h"}, "mqtt.host: unknown key; did you mean 'url'?"),
    ({"models__coco": {"model_name": "m", "zoo_url": "./zoo"}}, "models.coco: the zoo is a directory on this machine: set inference_host_address to \"@local\""),
    ({"cameras": []}, "cameras: must be a mapping (keys and values below it), not a list"),
    ({"cameras__Porch": {"source": 0, "model": "coco"}}, "cameras.Porch: the name must have 1 to 64 characters of a-z, 0-9, '_' and '-'"),
    ({"cameras__status": {"source": 0, "model": "coco"}}, "cameras.status: a camera cannot be named 'status': this is a topic of the node"),
    ({"cameras__porch__source": GONE}, "cameras.porch: set either source or source_file"),
    ({"cameras__porch__source": ""}, "cameras.porch.source: must be a URL (rtsp://...), a file, or a webcam: its number (0 or more) or its device (/dev/...)"),
    ({"cameras__porch__source": -1}, "cameras.porch.source: must be a URL (rtsp://...), a file, or a webcam: its number (0 or more) or its device (/dev/...)"),
    ({"cameras__porch__source": 1.5}, "cameras.porch.source: must be a URL (rtsp://...), a file, or a webcam: its number (0 or more) or its device (/dev/...)"),
    ({"cameras__porch__source": "rtsp:/u:s3cret@h/x"}, NO_URL),
    ({"cameras__porch__source": "file:///srv/film.mp4"}, f"cameras.porch.source: 'file' {NO_PROTOCOL}"),
    ({"cameras__porch__source": "rtsp//u:s3cret@h/x"}, NO_URL),
    ({"cameras__porch__source": "rtsp;//u:s3cret@h/x"}, NO_URL),
    ({"cameras__porch__source": "rtsp:u:s3cret@h/x"}, NO_URL),
    ({"cameras__porch__source": "u:s3cret@10.0.0.5:554/x"}, NO_URL),
    ({"cameras__porch__source": "s3cret@10.0.0.5"}, NO_URL),
    ({"cameras__porch__source": "10.0.0.5:554/x?password=s3cret"}, NO_URL),
    ({"cameras__porch__source": "10.0.0.5/x"}, NO_URL),
    ({"cameras__porch__source": "camera.lan:554"}, NO_URL),
    ({"cameras__porch__source": "[fe80::1]/x"}, NO_URL),
    ({"cameras__porch__source": "user=u&password=s3cret"}, NO_URL),
    ({"cameras__porch__source": "~u:s3cret@10.0.0.5/x"}, NO_URL),
    ({"cameras__porch__source": 1000}, "cameras.porch.source: must be a URL (rtsp://...), a file, or a webcam: its number (0 or more) or its device (/dev/...)"),
    ({"cameras__porch__source": "9" * 5000}, "cameras.porch.source: must be a URL (rtsp://...), a file, or a webcam: its number (0 or more) or its device (/dev/...)"),
    ({"cameras__porch__source": "u:s3cret://h/x"}, f"cameras.porch.source: 'u' {NO_PROTOCOL}"),
    ({"cameras__porch__source": "onvif://u:s3cret@h"}, "cameras.porch.source: onvif:// is no stream: write the camera's RTSP URL; its web page or an ONVIF program shows it"),
    ({"cameras__porch__source": "rtsp://"}, f"cameras.porch.source: has no valid host: write it like rtsp://10.0.0.5:554/stream; in a password, {ENCODINGS}"),
    ({"cameras__porch__source": "rtsp://u:s3cret@/x"}, f"cameras.porch.source: has no valid host: write it like rtsp://10.0.0.5:554/stream; in a password, {ENCODINGS}"),
    ({"cameras__porch__source": "rtsp://u:s3cret@h:99999/x"}, "cameras.porch.source: has no valid port: it must be 1 to 65535"),
    ({"cameras__porch__source": "rtsp://u:12/s3cret@10.0.0.5/x"}, f"cameras.porch.source: it is not clear where its password ends: in the password, {ENCODINGS}"),
    ({"cameras__porch__source": "rtsp://u:p@ss/s3cret@10.0.0.5/x"}, f"cameras.porch.source: it is not clear where its password ends: in the password, {ENCODINGS}"),
    ({"cameras__porch__source": "rtsp://u:p@ss#s3cret@camera.lan/x"}, f"cameras.porch.source: it is not clear where its password ends: in the password, {ENCODINGS}"),
    ({"cameras__porch__source": []}, f"cameras.porch.source: {COMMAND}"),
    ({"cameras__porch__source": ["ffmpeg", 1]}, f"cameras.porch.source: {COMMAND}"),
    ({"cameras__porch__source": ["ffmpeg", "a\0b"]}, f"cameras.porch.source: {COMMAND}"),
    ({"cameras__porch__source": "rpicam:x"}, NO_CAMERA),
    ({"cameras__porch__capture": {"size": [640, 480]}}, "cameras.porch: capture.size is for webcams, rpicam:, commands and capture.hardware only: remove it"),
    ({"cameras__porch__source": ["cam"], "cameras__porch__capture": {"format": "nv12"}}, "cameras.porch: capture.size is missing: raw pictures do not say how large they are"),
    ({"cameras__porch__source": ["cam"], "cameras__porch__capture": {"format": "NV12"}}, "cameras.porch.capture.format: must be a name of FFmpeg's, in small letters: h264, mpegts, yuv420p"),
    ({"cameras__porch__source": ["cam"], "cameras__porch__loop": True}, "cameras.porch: loop is for files only, or their http:// addresses: remove it"),
    ({"cameras__porch__capture": {"transport": "udp"}, "cameras__porch__source": 0}, "cameras.porch: capture.transport is for rtsp:// only: remove it"),
    ({"cameras__porch__source": "hls+http://u:s3cret@h/x"}, f"cameras.porch.source: 'hls+http' {NO_PROTOCOL}"),
    ({"cameras__porch__source": "ftp://u:s3cret@h/x"}, f"cameras.porch.source: 'ftp' {NO_PROTOCOL}"),
    ({"cameras__porch__source": "concat:a.ts|b.ts"}, f"cameras.porch.source: 'concat' {NO_PROTOCOL}"),
    ({"cameras__porch__source": "concat:rtsp://u:s3cret@h|b"}, f"cameras.porch.source: 'concat' {NO_PROTOCOL}"),
    ({"cameras__porch__source": "subfile,,start,0,end,9,,:/srv/film.mp4"}, f"cameras.porch.source: 'subfile' {NO_PROTOCOL}"),
    ({"cameras__porch__source": "crypto+file:///srv/film.mp4"}, f"cameras.porch.source: 'crypto' {NO_PROTOCOL}"),
    ({"cameras__porch__source": "data:video/mp4;base64,AAAA"}, f"cameras.porch.source: 'data' {NO_PROTOCOL}"),
    ({"cameras__porch__source": "pipe:0"}, f"cameras.porch.source: 'pipe' {NO_PROTOCOL}"),
    ({"cameras__porch__source": "tee:a|b"}, f"cameras.porch.source: 'tee' {NO_PROTOCOL}"),
    ({"cameras__porch__source": "~nobody-of-this-name/x"}, "cameras.porch.source: could not determine home directory: ~nobody-of-this-name/x"),
    ({"cameras__porch__source_file": "/no/url"}, "cameras.porch.source_file: no such file: /no/url"),
    ({"cameras__porch__model": GONE}, "cameras.porch.model: is missing"),
    (
        {"pipelines": {"gate": {"detect": ["coco", "cocco"]}}},
        "pipelines.gate.detect.1: no such model: 'cocco'; did you mean 'coco'?",
    ),
    (
        {"pipelines": {"gate": {"detect": "coco", "then": [{"classify": "cocco", "as": "text"}]}}},
        "pipelines.gate.then.0.classify: no such model: 'cocco'; did you mean 'coco'?",
    ),
    ({"pipelines": {"gate": {"detect": []}}}, "pipelines.gate.detect: needs at least one"),
    (
        {"pipelines": {"gate": {"detect": "coco", "then": [{"detect": "coco", "classify": "coco"}]}}},
        "pipelines.gate.then.0: set one of detect, classify, regress and embed",
    ),
    (
        {"pipelines": {"gate": {"detect": "coco", "then": [{"classify": "coco"}]}}},
        "pipelines.gate.then.0: as is missing: the name of the attribute",
    ),
    (
        {"pipelines": {"gate": {"detect": "coco", "then": [{"regress": "cocco", "as": "age"}]}}},
        "pipelines.gate.then.0.regress: no such model: 'cocco'; did you mean 'coco'?",
    ),
    (
        {"pipelines": {"gate": {"detect": "coco", "then": [{"regress": "coco"}]}}},
        "pipelines.gate.then.0: as is missing: the name of the attribute",
    ),
    (
        {"pipelines": {"gate": {"detect": "coco", "then": [{"classify": "coco", "as": "a"}] * 2}}},
        "pipelines.gate: two stages with as: a: give each its own name",
    ),
    ({"pipelines": {"coco": {"detect": "coco"}}}, "pipelines.coco: is also the name of a model: rename it"),
    ({"pipelines": {"gate": {"detect": "coco", "than": []}}}, "pipelines.gate.than: unknown key; did you mean 'then'?"),
    (
        {"pipelines": {"gate": {"detect": "coco", "then": [{"regres": "coco", "as": "age"}]}}},
        "pipelines.gate.then.0.regres: unknown key; did you mean 'regress'?",
    ),
    (
        {"pipelines": {"gate": {"detect": {"model": "coco", "lables": ["car"]}}}},
        "pipelines.gate.detect.0.lables: unknown key; did you mean 'labels'?",
    ),
    (
        {
            "pipelines": {"gate": {"detect": "coco"}},
            "cameras__porch__model": "gate",
            "cameras__porch__text_labels": {"label": "plate"},
        },
        "cameras.porch.text_labels: is for a model alone: in a pipeline, use classify with as",
    ),
    ({"cameras__porch__region": [0.5, 0, 0.5, 1]}, "cameras.porch.region: a region has x1 < x2 and y1 < y2, at least 0.01 apart"),
    ({"cameras__porch__region": [0, 0, 640, 480]}, "cameras.porch.region: a region is [x1, y1, x2, y2] in fractions of the frame, 0 to 1, not in pixels"),
    ({"cameras__porch__include": ["track_id"]}, "cameras.porch.include.0: track_id is made by edgepub, not by the model: remove it"),
    (
        {"cameras__porch__text_labels": {"label": "plate"}, "cameras__porch__labels": ["car"]},
        "cameras.porch: with text_labels, the only label is 'plate': remove labels",
    ),
    (
        {"cameras__porch__labels": ["car"], "cameras__porch__snapshot": {"blur": ["face"]}},
        "cameras.porch: snapshot.blur: 'face' is not one of the camera's labels: add it to labels",
    ),
    ({"cameras__porch__model": "cocco"}, "cameras.porch.model: no such model: 'cocco'; did you mean 'coco'?"),
    ({"cameras__porch__loop": True}, "cameras.porch: loop is for files only, or their http:// addresses: remove it"),
    ({"cameras__porch__realtime": True}, "cameras.porch: realtime is for files only, or their http:// addresses: remove it"),
    ({"cameras__porch__min_score": 1.5}, "cameras.porch.min_score: must be at most 1"),
    ({"cameras__porch__min_score": True}, "cameras.porch.min_score: must be a number, not yes or no"),
    ({"cameras__porch__min_scores": 0.5}, "cameras.porch.min_scores: unknown key; did you mean 'min_score'?"),
    ({"cameras__porch__max_fps": 0}, "cameras.porch.max_fps: must be at least 0.001"),
    ({"cameras__porch__max_fps": float("nan")}, "cameras.porch.max_fps: must be a finite number"),
    ({"cameras__porch__max_fsp": 5}, "cameras.porch.max_fsp: unknown key; did you mean 'max_fps'?"),
    ({"cameras__porch__stall_timeout_s": 0.5}, "cameras.porch.stall_timeout_s: must be at least 1"),
    ({"cameras__porch__publish": "changes"}, "cameras.porch.publish: must be a mapping (keys and values below it), not a single value"),
    ({"cameras__porch__publish": {"mode": "change"}}, "cameras.porch.publish.mode: must be 'always' or 'changes'"),
    ({"cameras__porch__publish": {"every": 0}}, "cameras.porch.publish.every: must be at least 1"),
    ({"cameras__porch__publish": {"max_rate": 1}}, "cameras.porch.publish.max_rate: unknown key; did you mean 'max_rate_hz'?"),
    ({"cameras__porch__publish": {"max_rate_hz": 0}}, "cameras.porch.publish.max_rate_hz: must be more than 0"),
    ({"cameras__porch__publish": {"heartbeat_s": 0}}, "cameras.porch.publish.heartbeat_s: must be more than 0"),
    ({"cameras__porch__publish": {"mode": "changes", "max_rate_hz": 0.01}}, "cameras.porch.publish: heartbeat_s is shorter than max_rate_hz allows: set it to 100 or more, or to null"),
    ({"cameras__porch__publish": {"fields": "few"}}, "cameras.porch.publish.fields: must be all, lean, or a list of keys, like [seq, detections.track_id]"),
    ({"cameras__porch__publish": {"fields": []}}, "cameras.porch.publish.fields: must be all, lean, or a list of keys, like [seq, detections.track_id]"),
    ({"cameras__porch__publish": {"fields": ["seq", "frmae"]}}, "cameras.porch: publish.fields: unknown key 'frmae'; did you mean 'frame'?"),
    ({"cameras__porch__publish": {"fields": ["track_id"]}}, "cameras.porch: publish.fields: unknown key 'track_id'; did you mean 'detections.track_id'?"),
    ({"cameras__porch__publish": {"fields": ["timing_ms.inference"]}}, "cameras.porch: publish.fields: unknown key 'timing_ms.inference'; did you mean 'timing_ms'?"),
    ({"cameras__porch__publish": {"fields": ["detections.speed_kmh"]}}, "cameras.porch: publish.fields: unknown key 'detections.speed_kmh'; add a key that only the model gives to include, too"),
    ({"cameras__porch__include": ["lane"], "cameras__porch__publish": {"fields": ["lane"]}}, "cameras.porch: publish.fields: unknown key 'lane'; did you mean 'detections.lane'?"),
    ({"cameras__porch__publish": {"fields": ["detections.trackid"]}}, "cameras.porch: publish.fields: unknown key 'detections.trackid'; did you mean 'detections.track_id'?"),
    ({"cameras__porch__publish": {"fields": ["everything"]}}, "cameras.porch: publish.fields: unknown key 'everything'; name keys of the payload, like seq or detections.track_id"),
    ({"cameras__porch__publish": {"fields": ["schema"]}}, "cameras.porch: publish.fields: schema says that all keys are there: remove it, or set fields to all"),
    ({"cameras__porch__tracking": "maybe"}, "cameras.porch.tracking: must be true or false"),
    ({"cameras__porch__track_lost_s": -1}, "cameras.porch.track_lost_s: must be at least 0"),
    ({"cameras__porch__occupancy_on_frames": 0}, "cameras.porch.occupancy_on_frames: must be at least 1"),
    ({"cameras__porch__ocupancy_off_s": 1}, "cameras.porch.ocupancy_off_s: unknown key; did you mean 'occupancy_off_s'?"),
    ({"cameras__porch__snapshot": False}, "cameras.porch.snapshot: must be a mapping (keys and values below it), not a single value"),
    ({"cameras__porch__snapshot__enable": False}, "cameras.porch.snapshot.enable: unknown key; did you mean 'enabled'?"),
    ({"cameras__porch__snapshot__quality": 0}, "cameras.porch.snapshot.quality: must be at least 1"),
    ({"cameras__porch__zones": [TRIANGLE]}, "cameras.porch.zones: must be a mapping (keys and values below it), not a list"),
    ({"cameras__porch__zones__a": TRIANGLE}, "cameras.porch.zones.a: must be a mapping (keys and values below it), not a list"),
    ({"cameras__porch__zones__A b": {"polygon": TRIANGLE}}, "cameras.porch.zones.A b: the name must have 1 to 64 characters of a-z, 0-9, '_' and '-'"),
    ({"cameras__porch__zones__a": {"polygons": TRIANGLE, "polygon": TRIANGLE}}, "cameras.porch.zones.a.polygons: unknown key; did you mean 'polygon'?"),
    ({"cameras__porch__zones__a__polygon": [[0, 0], [1, 1]]}, "cameras.porch.zones.a.polygon: needs at least 3"),
    ({"cameras__porch__zones__a__polygon": [[0, 0], [1, 0], [1]]}, "cameras.porch.zones.a.polygon.2: a point is [x, y]"),
    ({"cameras__porch__zones__a__polygon": [[0, 0], [1, True], [1, 1]]}, "cameras.porch.zones.a.polygon.1: a point is [x, y]"),
    ({"cameras__porch__zones__a__polygon": [[0, 0], [640, 0], [1, 1]]}, "cameras.porch.zones.a.polygon.1: a point is [x, y] in fractions of the frame, 0 to 1, not in pixels"),
    ({"cameras__porch__zones__a__polygon": [[0, 0], [float("nan"), 0], [1, 1]]}, "cameras.porch.zones.a.polygon.1: a point is [x, y] in fractions of the frame, 0 to 1, not in pixels"),
    ({"cameras__porch__zones__a__polygon": [[0, 0], [1, 1], [0.5, 0.5]]}, "cameras.porch.zones.a: polygon has no area: its corners are on one line or too close together"),
    ({"cameras__porch__zones__a__polygon": [[0, 0], [1, 1], [1, 0], [0, 1]]}, "cameras.porch.zones.a: polygon crosses itself: list its corners in order around it"),
    ({"cameras__porch__zones__a": {"polygon": TRIANGLE, "anchor": "bottom"}}, "cameras.porch.zones.a.anchor: must be 'bottom_center', 'bottom_left', 'bottom_right', 'center', 'center_left', 'center_right', 'top_center', 'top_left' or 'top_right'"),
    ({"cameras__porch__labels": ["person"], "cameras__porch__zones__a": {"polygon": TRIANGLE, "labels": ["persn"]}}, "cameras.porch: zones.a.labels: 'persn' is not one of the camera's labels"),
    ({"cameras__porch__lines__g": {"to": [0, 0]}}, "cameras.porch.lines.g.from: is missing"),
    ({"cameras__porch__lines__g": {"from": [0, 0], "to": [0, 1], "frm": 1}}, "cameras.porch.lines.g.frm: unknown key; did you mean 'from'?"),
    ({"cameras__porch__lines__g": {"from": [0, 1], "to": [0, 1]}}, "cameras.porch.lines.g: from and to are the same point: set two different points"),
    ({"cameras__porch__tracking": False, "cameras__porch__lines__g": {"from": [0, 0], "to": [0, 1]}}, "cameras.porch: lines need tracking: set it to true, or remove lines"),
    ({"cameras__porch__tracking": False, "cameras__porch__zones__a": {"polygon": TRIANGLE, "loitering_s": 5}}, "cameras.porch: zones.a.loitering_s needs tracking: set it to true, or remove zones.a.loitering_s"),
    ({"cameras__porch__tracking": False, "cameras__porch__zones__a": {"polygon": TRIANGLE}, "cameras__porch__events": {"zones": ["a"]}}, "cameras.porch: events.zones needs tracking: set it to true, or remove events.zones"),
    ({"stats": {"interval_s": 0}}, "stats.interval_s: must be at least 1"),
    ({"stats": {"interval": 10}}, "stats.interval: unknown key; did you mean 'interval_s'?"),
    ({"cameras__porch__labels": []}, "cameras.porch.labels: needs at least one"),
    ({"cameras__porch__labels": "person"}, "cameras.porch.labels: must be a list, like [person, car]"),
    ({"cameras__porch__labels": [False]}, "cameras.porch.labels.0: must be a valid string"),
    ({"cameras__porch__labels": {}}, "cameras.porch.labels: needs at least one"),
    ({"cameras__porch__labels": {"": {}}}, "cameras.porch.labels.: must not be empty"),
    ({"cameras__porch__labels": {"person": 0.6}}, "cameras.porch.labels.person: must be a mapping (keys and values below it), not a single value"),
    ({"cameras__porch__labels": {"person": {"min_scor": 0.6}}}, "cameras.porch.labels.person.min_scor: unknown key; did you mean 'min_score'?"),
    ({"cameras__porch__labels": {"person": {"min_top_score": 60}}}, "cameras.porch.labels.person.min_top_score: must be at most 1"),
    ({"cameras__porch__labels": {"person": {"max_area": 1.5}}}, "cameras.porch.labels.person.max_area: must be at most 1"),
    ({"cameras__porch__labels": {"person": {"min_ratio": True}}}, "cameras.porch.labels.person.min_ratio: must be a number, not yes or no"),
    ({"cameras__porch__labels": {"person": {"min_area": 0.5, "max_area": 0.1}}}, "cameras.porch.labels.person: min_area (0.5) is more than max_area (0.1): no object is like that"),
    ({"cameras__porch__labels": {"car": None, "person": {"min_ratio": 2, "max_ratio": 1.5}}}, "cameras.porch.labels.person: min_ratio (2) is more than max_ratio (1.5): no object is like that"),
    (
        {"cameras__porch__text_labels": {"label": "plate"}, "cameras__porch__labels": {"plate": {}, "car": {}}},
        "cameras.porch: with text_labels, the only label is 'plate': remove labels",
    ),
    ({"cameras__porch__ignore": [TRIANGLE]}, "cameras.porch.ignore: must be a mapping (keys and values below it), not a list"),
    ({"cameras__porch__ignore": {f"a{n}": {"polygon": TRIANGLE} for n in range(101)}}, "cameras.porch.ignore: has too many entries: 101, at most 100 are allowed"),
    ({"cameras__porch__ignore__a": {"polygons": TRIANGLE, "polygon": TRIANGLE}}, "cameras.porch.ignore.a.polygons: unknown key; did you mean 'polygon'?"),
    ({"cameras__porch__ignore__a__polygon": [[0, 0], [1, 1], [1, 0], [0, 1]]}, "cameras.porch.ignore.a: polygon crosses itself: list its corners in order around it"),
    ({"cameras__porch__ignore__a__polygon": [[0, 0], [1, 1], [0.5, 0.5]]}, "cameras.porch.ignore.a: polygon has no area: its corners are on one line or too close together"),
    ({"cameras__porch__labels": {"person": None}, "cameras__porch__ignore__a": {"polygon": TRIANGLE, "labels": ["persn"]}}, "cameras.porch: ignore.a.labels: 'persn' is not one of the camera's labels"),
    ({"cameras__porch__enabled": "maybe"}, "cameras.porch.enabled: must be true or false"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "line"), WRONG, ids=[line for _, line in WRONG])
def test_a_mistake_gets_its_line(tmp_path, change, line):
    assert mistakes(tmp_path, changed(**change)) == [line]


NOT_IN_MQTT = [
    "\0",
    "\x01",
    "\t",
    "\n",
    "\x1b",
    "\x7f",
    "\x85",
    "\ud800",
    "\udfff",
    "\ufdd0",
    "\ufeff",
    "\uffff",
    "\U0010fffe",
]
TEXTS = ["mqtt__topic_prefix", "mqtt__client_id", "mqtt__username", "home_assistant__discovery_prefix"]


@pytest.mark.parametrize("key", TEXTS)
@pytest.mark.parametrize("character", NOT_IN_MQTT, ids=ascii)
def test_a_character_that_mqtt_does_not_allow_is_named(tmp_path, key, character):
    why = f"has the character U+{ord(character):04X}, which MQTT does not allow; remove it"
    if "\ud800" <= character <= "\udfff":
        why = "has a surrogate, which is no character; remove it"
    assert mistakes(tmp_path, changed(**{key: f"a{character}b"})) == [f"{key.replace('__', '.')}: {why}"]


@pytest.mark.parametrize("key", TEXTS)
def test_any_other_character_is_allowed(tmp_path, key):
    assert load(tmp_path, changed(**{key: "größe/日本 \U0001f4f7"}))


# fmt: off
BROKEN = [
    ("", "is empty; it needs models and cameras"),
    ("- porch", "must be a mapping of keys to values, like 'cameras: ...'"),
    ("node: [", "line 1, column 8: expected the node content, but found '<stream end>'"),
    ("node: a\nnode: b", "line 2, column 1: the key 'node' occurs twice"),
    ("node: \x00", "contains zero bytes: it is damaged, or UTF-16 instead of UTF-8"),
    ("node: a\nmqtt: \x07", "line 2: the character U+0007 is not allowed"),
    ("mqtt: {password: *s3cret}", "line 1, column 18: found undefined alias; put a value that begins with & ! or * in quotes"),
    ("mqtt:\n  password: !s3cret", "line 2, column 13: could not determine a constructor for the tag; put a value that begins with & ! or * in quotes"),
    ('node: !!int ""', "is not YAML"),
    ("node: !!bool maybe", "is not YAML"),
    ("? {a: b}\n: c", "line 1, column 3: found unhashable key"),
]
# fmt: on


@pytest.mark.parametrize(("text", "line"), BROKEN)
def test_a_file_that_is_not_a_configuration(tmp_path, text, line):
    assert mistakes(tmp_path, text) == [line]


def test_a_missing_file_says_how_to_name_one(tmp_path):
    with pytest.raises(
        ConfigurationError, match="No such file or directory; set another file with -c FILE or EDGEPUB_CONFIG"
    ):
        load_settings(tmp_path / "none.yaml")


def test_a_file_that_is_not_text(tmp_path):
    path = tmp_path / "edgepub.yaml"
    for content, why in ((b"\xff", "is not UTF-8 text"), (GOOD.encode("utf-16"), "UTF-16 instead of UTF-8")):
        path.write_bytes(content)
        with pytest.raises(ConfigurationError, match=f"^{path}: .*{why}"):
            load_settings(path)


BOM_FILES = {
    "password": ("s3cret-ü", {"mqtt__username": "me", "mqtt__password_file": "password"}),
    "token": ("0123456789abcdef", {"http__listen": 9464, "http__token_file": "token"}),
    "source": ("rtsp://u:p@10.0.0.5/s", {"cameras__porch__source": GONE, "cameras__porch__source_file": "source"}),
}


def test_a_byte_order_mark_is_no_part_of_a_text(tmp_path):
    """Notepad writes one, and so does PowerShell."""
    changes = {}
    for name, (content, change) in BOM_FILES.items():
        (tmp_path / name).write_text(f"{content}\r\n", encoding="utf-8-sig", newline="")
        changes |= change
    (tmp_path / "edgepub.yaml").write_text(changed(**changes), encoding="utf-8-sig")
    settings = load_settings(tmp_path / "edgepub.yaml")
    assert settings.node == "garage"
    assert read_broker_password(settings.mqtt).get_secret_value() == "s3cret-ü"
    assert read_http_token(settings.http).get_secret_value() == "0123456789abcdef"
    assert settings.cameras["porch"].resolved_source == "rtsp://u:p@10.0.0.5/s"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("name", list(BOM_FILES))
def test_a_file_in_another_encoding_is_named(tmp_path, name, encoding):
    content, change = BOM_FILES[name]
    (tmp_path / name).write_text(content, encoding=encoding)
    (line,) = mistakes(tmp_path, changed(**change))
    assert f"{name}" in line
    assert "UTF-16 instead of UTF-8" in line
    assert line.endswith(f": {tmp_path / name}")


def test_all_mistakes_are_listed_together(tmp_path):
    text = changed(node="!", mqtt__keepalive_s=0, cameras__porch__model="nope", cameras__porch__min_score=2)
    assert [line.partition(":")[0] for line in mistakes(tmp_path, text)] == [
        "node",
        "mqtt.keepalive_s",
        "cameras.porch.min_score",
        "cameras.porch.model",
    ]


@pytest.mark.parametrize("text", [AXELERA, HAILO])
def test_the_specifications_of_degirums_streaming_page_reach_model_spec_unchanged(tmp_path, text):
    from degirum_tools import ModelSpec

    specification = yaml.safe_load(text)
    model = load(tmp_path, changed(models=specification)).models["coco"]
    assert ModelSpec(**make_spec_fields(model, *model.inference_hosts)) == ModelSpec(**specification["coco"])


@pytest.mark.parametrize(
    "given",
    [
        {"model_name": "yolo", "zoo_url": "/opt/zoo", "inference_host_address": "@local"},
        {"model_url": "/opt/zoo/yolo", "inference_host_address": "@local"},
        {"model_url": "https://hub.degirum.com/degirum/public/yolo", "token": "dg_x"},
        {"model_name": "yolo", "inference_host_address": "10.0.0.7:8778"},
        {"model_name": "yolo", "zoo_url": "degirum/public", "inference_host_address": "@cloud", "token": "dg_x"},
        {"model_name": "yolo", "zoo_url": "degirum/public", "metadata": None, "model_properties": None},
    ],
)
def test_every_way_to_name_a_model_reaches_model_spec(tmp_path, given):
    from degirum_tools import ModelSpec

    model = load(tmp_path, changed(models={"coco": given})).models["coco"]
    assert ModelSpec(**make_spec_fields(model, *model.inference_hosts)) == ModelSpec(**given)


def test_a_model_may_have_several_ai_servers(tmp_path, monkeypatch):
    from degirum_tools import ModelSpec

    servers = ["10.0.0.8:8778", "10.0.0.9:8778"]
    given = {"model_name": "yolo", "inference_host_address": servers}
    model = load(tmp_path, changed(models={"coco": given})).models["coco"]
    specifications = [ModelSpec(**make_spec_fields(model, server)) for server in model.inference_hosts]
    assert specifications == [ModelSpec(model_name="yolo", inference_host_address=server) for server in servers]
    one = changed(models={"coco": {**given, "inference_host_address": "10.0.0.7"}})
    assert load(tmp_path, one).models["coco"].inference_hosts == ["10.0.0.7"]
    monkeypatch.setenv("EDGEPUB_MODELS__COCO__INFERENCE_HOST_ADDRESS", '["10.0.0.8:8778", "10.0.0.9:8778"]')
    assert load(tmp_path, one).models["coco"].inference_hosts == servers


def test_a_model_has_exactly_the_fields_of_model_spec():
    from degirum_tools import ModelSpec

    assert list(ModelSettings.model_fields) == [field.name for field in dataclasses.fields(ModelSpec)]


def test_a_directory_is_a_directory_even_where_pysdk_would_see_a_cloud_zoo(tmp_path):
    (tmp_path / "my" / "zoo").mkdir(parents=True)
    for zoo in ("my/zoo", "./my/zoo", str(tmp_path / "my/zoo")):
        model = load(tmp_path, changed(models__coco__zoo_url=zoo)).models["coco"]
        assert model.zoo_url == str(tmp_path / "my" / "zoo")


def test_paths_are_relative_to_the_configuration(tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    camera = load(tmp_path, changed(cameras__porch__source="clips/a.mp4")).cameras["porch"]
    assert camera.resolved_source == tmp_path / "clips" / "a.mp4"


@pytest.mark.parametrize(
    ("source", "resolved"),
    [
        (0, Webcam(Path("/dev/video0"))),
        ("1", Webcam(Path("/dev/video1"))),
        ("/dev/v4l/by-id/usb-a", Webcam(Path("/dev/v4l/by-id/usb-a"))),
        *((url, url) for url in ("rtsp://h/s", "https://h/a?b=c://d", "srt://h:9", "udp://@:5000")),
    ],
)
def test_sources(tmp_path, source, resolved):
    assert load(tmp_path, changed(cameras__porch__source=source)).cameras["porch"].resolved_source == resolved


@pytest.mark.parametrize(
    ("source", "resolved", "encoded"),
    [
        ("rtsp://u:p@10.0.0.5/s", "rtsp://u:p@10.0.0.5/s", ""),
        ("RTSP://u:p@10.0.0.5/s", "rtsp://u:p@10.0.0.5/s", ""),
        ("rtsp://u:p%40%2f@10.0.0.5/s", "rtsp://u:p%40%2f@10.0.0.5/s", ""),
        ("rtsp://u:p@w@10.0.0.5/s", "rtsp://u:p%40w@10.0.0.5/s", "@"),
        ("rtsp://u:p#w@10.0.0.5/s", "rtsp://u:p%23w@10.0.0.5/s", "#"),
        ("rtsp://u:p/w@10.0.0.5:554/s@1", "rtsp://u:p%2Fw@10.0.0.5:554/s@1", "/"),
        ("rtsp://u:p@10.0.0.5/s@10.0.0.6/", "rtsp://u:p@10.0.0.5/s@10.0.0.6/", ""),
        ("rtsp://u:p@camera.lan/s@2x", "rtsp://u:p@camera.lan/s@2x", ""),
        ("rtsp://u:p?w@cam/s", "rtsp://u:p%3Fw@cam/s", "?"),
        ("rtsp://u:p%w@cam/s", "rtsp://u:p%25w@cam/s", "%"),
        ("rtsp://u:p w:x@cam/s", "rtsp://u:p%20w:x@cam/s", "space"),
        ("rtsp://u:p/#@w@[fe80::1]:554/s", "rtsp://u:p%2F%23%40w@[fe80::1]:554/s", "@ # /"),
        ("rtsp://cam/s@1", "rtsp://cam/s@1", ""),
        ("rtsp://cam:554/user@example.org", "rtsp://cam:554/user@example.org", ""),
        ("http://cam/s?user=a&mail=b@c", "http://cam/s?user=a&mail=b@c", ""),
        ("udp://@239.0.0.1:5000?ttl=1", "udp://@239.0.0.1:5000?ttl=1", ""),
    ],
)
def test_what_must_not_stand_in_a_login_is_encoded_and_said(tmp_path, source, resolved, encoded):
    camera = load(tmp_path, changed(cameras__porch__source=source)).cameras["porch"]
    assert camera.resolved_source == resolved
    assert camera.encoded_in_login == encoded


def test_a_file_that_looks_like_a_url_is_a_file_if_it_is_there(tmp_path):
    for name in ("a@b.mp4", "clip.mp4:1", "10.0.0.5"):
        assert "looks like a URL" in mistakes(tmp_path, changed(cameras__porch__source=name))[0]
        (tmp_path / name).write_bytes(b"")
        for path in (name, f"./{name}"):
            camera = load(tmp_path, changed(cameras__porch__source=path)).cameras["porch"]
            assert camera.resolved_source == tmp_path / name


@pytest.mark.parametrize("name", ["clip:1.mp4", "file", "concat.mp4", "clips/pipe:0", "subfile.mp4", "data,1.mp4"])
def test_a_path_is_no_protocol(tmp_path, name):
    assert load(tmp_path, changed(cameras__porch__source=name)).cameras["porch"].resolved_source == tmp_path / name


def test_a_source_from_a_file(tmp_path):
    (tmp_path / "url").write_text("rtsp://u:secret@10.0.0.5/s\n")
    text = changed(cameras__porch__source=GONE, cameras__porch__source_file="url")
    assert load(tmp_path, text).cameras["porch"].resolved_source == "rtsp://u:secret@10.0.0.5/s"
    (tmp_path / "url").write_text("\n")
    assert mistakes(tmp_path, text) == [f"cameras.porch: source_file is empty: {tmp_path / 'url'}"]


@pytest.mark.parametrize("url", ["admin:s3cret@10.0.0.5/s", "//admin:s3cret@10.0.0.5/s", "admin:s3/cret@10.0.0.5"])
def test_a_url_without_its_protocol_is_no_file(tmp_path, url):
    """Otherwise the log would say that there is no such file, with the password."""
    (tmp_path / "url").write_text(url)
    text = changed(cameras__porch__source=GONE, cameras__porch__source_file="url")
    (mistake,) = mistakes(tmp_path, text)
    assert "looks like a URL without its protocol" in mistake
    assert "cret" not in mistake


@pytest.mark.parametrize(
    "labels", [["car", "person"], {"car": {}, "person": None}, {"car": {"min_score": None}, "person": {}}]
)
def test_labels_are_a_list_or_a_mapping_of_what_their_objects_must_be_like(tmp_path, labels):
    usual = load(tmp_path, changed(cameras__porch__labels=["car", "person"]))
    settings = load(tmp_path, changed(cameras__porch__labels=labels))
    assert settings == usual, "a reload restarts nothing"
    assert settings.cameras["porch"].kept_labels == ["car", "person"]


def test_a_label_may_have_scores_of_its_own(tmp_path):
    labels = {"person": {"min_score": 0.2, "min_top_score": 0.8}, "car": {"min_area": 0.5, "max_area": 0.5}}
    camera = load(tmp_path, changed(cameras__porch__labels=labels)).cameras["porch"]
    assert (camera.kept_labels, camera.all_labels) == (["car", "person"], ["car", "person"])
    assert (camera.min_scores, camera.min_top_scores) == ({"person": 0.2}, {"person": 0.8})


def test_text_labels_may_have_filters(tmp_path):
    labels = {"plate": {"min_score": 0.2}}
    texts = changed(cameras__porch__labels=labels, cameras__porch__text_labels={"label": "plate"})
    camera = load(tmp_path, texts).cameras["porch"]
    assert (camera.kept_labels, camera.min_scores, camera.model_labels) == (["plate"], {"plate": 0.2}, [])


def test_ignored_labels_have_no_counts_but_the_model_must_have_them(tmp_path):
    ignore = {"flag": {"polygon": TRIANGLE, "labels": ["flag"]}}
    camera = load(tmp_path, changed(cameras__porch__ignore=ignore)).cameras["porch"]
    assert (camera.all_labels, camera.model_labels) == ([], ["flag"])


def test_the_environment_overrides_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEPUB_NODE", "attic")
    monkeypatch.setenv("EDGEPUB_MQTT__URL", "mqtt://10.0.0.9")
    monkeypatch.setenv("EDGEPUB_CAMERAS__PORCH__MIN_SCORE", "0.7")
    monkeypatch.setenv("EDGEPUB_CAMERAS__PORCH__LABELS", '["person", "car"]')
    monkeypatch.setenv("EDGEPUB_CAMERAS__PORCH__MAX_FPS", "7.5")
    monkeypatch.setenv("EDGEPUB_CAMERAS__PORCH__PUBLISH__MODE", "changes")
    monkeypatch.setenv("EDGEPUB_CAMERAS__PORCH__PUBLISH__FIELDS", "lean")
    monkeypatch.setenv("EDGEPUB_STATS__INTERVAL_S", "60")
    monkeypatch.setenv("EDGEPUB_CAMERAS__YARD__SOURCE", "0")
    monkeypatch.setenv("EDGEPUB_CAMERAS__YARD__MODEL", "coco")
    monkeypatch.setenv("EDGEPUB_CAMERAS__YARD__PUBLISH__FIELDS", '["seq", "detections.zones"]')
    settings = load(tmp_path, GOOD)
    assert (settings.node, settings.mqtt.url) == ("attic", "mqtt://10.0.0.9")
    assert settings.cameras["porch"].min_score == 0.7
    assert settings.cameras["porch"].kept_labels == ["person", "car"]
    assert (settings.cameras["porch"].max_fps, settings.cameras["porch"].publish.mode) == (7.5, "changes")
    assert [settings.cameras[name].publish.fields for name in ("porch", "yard")] == [
        "lean",
        ["seq", "detections.zones"],
    ]
    assert settings.stats.interval_s == 60
    assert settings.cameras["yard"].resolved_source == Webcam(Path("/dev/video0"))


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        ("EDGEPUB_MQT__URL", "x", "EDGEPUB_MQT__URL: sets no key; did you mean 'mqtt'?"),
        ("EDGEPUB_NODE__X", "1", "EDGEPUB_NODE__X: sets no key; did you mean 'node'?"),
        ("EDGEPUB_MODELS__COCO__MODEL_PROPERTIES", "[" * 20000, "environment:"),
        ("EDGEPUB_CONFIGURATION", "x", "EDGEPUB_CONFIGURATION: sets no key"),
        ("EDGEPUB_MQTT__URLS", "x", "mqtt.urls: unknown key; did you mean 'url'? (set by EDGEPUB_MQTT__URLS)"),
        ("EDGEPUB_CAMERAS__PORCH__MIN_SCORE", "x", "cameras.porch.min_score: must be a number, without a unit (set by EDGEPUB_CAMERAS__PORCH__MIN_SCORE)"),
    ],
)  # fmt: skip
def test_a_wrong_variable_gets_its_line(tmp_path, monkeypatch, variable, value, line):
    monkeypatch.setenv(variable, value)
    (said,) = mistakes(tmp_path, GOOD)
    assert said == line or (line.endswith("environment:") and said.startswith(line))


def test_mistakes_of_variables_and_of_the_file_are_listed_together(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEPUB_MQT__URL", "x")
    assert len(mistakes(tmp_path, changed(node="!", mqtt__keepalive_s=0))) == 3


def test_a_source_in_the_environment_replaces_the_source_file(tmp_path, monkeypatch):
    (tmp_path / "url").write_text("clips/a.mp4")
    monkeypatch.setenv("EDGEPUB_CAMERAS__PORCH__SOURCE_FILE", "url")
    assert load(tmp_path, GOOD).cameras["porch"].resolved_source == tmp_path / "clips" / "a.mp4"


def test_a_variable_that_is_not_json(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEPUB_CAMERAS", "{porch")
    (line,) = mistakes(tmp_path, GOOD)
    assert "cameras" in line
    assert line.endswith("write lists and objects as JSON")


@pytest.mark.parametrize("way", ["password", "password_file", "credential", "environment", "environment over file"])
def test_a_password_is_read_from_any_source_and_never_shown(tmp_path, monkeypatch, way):
    (tmp_path / "secret").write_text("s3cret\n")
    changes = {"mqtt__username": "me"}
    if way == "password":
        changes["mqtt__password"] = "s3cret"
    elif way == "password_file":
        changes["mqtt__password_file"] = "secret"
    elif way == "credential":
        (tmp_path / "mqtt_password").write_text("s3cret")
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    else:
        monkeypatch.setenv("EDGEPUB_MQTT__PASSWORD", "s3cret")
        if way == "environment over file":
            changes["mqtt__password_file"] = "/not/looked/at"
    settings = load(tmp_path, changed(**changes))
    assert read_broker_password(settings.mqtt).get_secret_value() == "s3cret"
    assert "s3cret" not in repr(settings) + str(settings) + str(settings.model_dump())


def test_a_mistake_with_the_password_says_how_to_fix_it(tmp_path, monkeypatch):
    (tmp_path / "empty").write_text("\n")
    assert mistakes(tmp_path, changed(mqtt__username="me", mqtt__password_file="empty")) == [
        f"mqtt: the password file is empty: {tmp_path / 'empty'}"
    ]
    assert mistakes(tmp_path, changed(mqtt__username="me", mqtt__password_file="empty", mqtt__password="x")) == [
        "mqtt: set password or password_file, not both"
    ]
    (tmp_path / "binary").write_bytes(b"\xff")
    assert mistakes(tmp_path, changed(mqtt__username="me", mqtt__password_file="binary")) == [
        f"mqtt: the password file is not UTF-8 text: {tmp_path / 'binary'}"
    ]
    (tmp_path / "mqtt_password").write_text("x")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert mistakes(tmp_path, GOOD) == ["mqtt: username is missing: the credential mqtt_password needs a user name"]


def test_an_empty_credential_means_no_password_without_a_user_name(tmp_path, monkeypatch):
    (tmp_path / "mqtt_password").touch()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert read_broker_password(load(tmp_path, GOOD).mqtt) is None
    assert mistakes(tmp_path, changed(mqtt__username="edge")) == [
        f"mqtt: the password file is empty: {tmp_path / 'mqtt_password'}"
    ]


TOKEN = "0123456789abcdef"
REMEDY = "set http.token_file, or provide the credential http_token (make one with `openssl rand -hex 16`)"


@pytest.mark.parametrize("listen", [9464, "127.0.0.1:9464", "127.8.9.1:9464", "[::1]:9464", "localhost:9464", None])
def test_loopback_needs_no_token(tmp_path, listen):
    settings = load(tmp_path, changed(http__listen=listen))
    assert settings.http.is_on_loopback
    assert read_http_token(settings.http) is None


@pytest.mark.parametrize("listen", ["0.0.0.0:9464", "[::]:9464", "192.168.1.2:9464", "[fe80::1]:9464", "128.0.0.1:80"])
def test_an_address_other_than_loopback_needs_a_token(tmp_path, listen):
    assert mistakes(tmp_path, changed(http__listen=listen)) == [
        f"http.listen: {listen} is not loopback, so a token is required: {REMEDY}"
    ]
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    assert load(tmp_path, changed(http__listen=listen, http__token_file="token"))


def test_editing_needs_a_token(tmp_path):
    text = changed(http__listen=9464, http__allow_edit=True)
    assert mistakes(tmp_path, text) == [
        f"http.allow_edit: a token is required, or every user of this host could edit: {REMEDY}"
    ]
    (tmp_path / "token").write_text(TOKEN)
    assert load(tmp_path, changed(http__listen=9464, http__allow_edit=True, http__token_file="token"))
    assert load(tmp_path, changed(http__allow_edit=True)), "there is no server"


@pytest.mark.parametrize("way", ["token_file", "credential", "environment"])
def test_a_token_is_read_from_a_file_or_a_credential_and_never_shown(tmp_path, monkeypatch, way):
    (tmp_path / "http_token").write_text(f"{TOKEN}\n")
    changes = {"http__listen": "0.0.0.0:9464"}
    if way == "token_file":
        changes["http__token_file"] = "http_token"
    elif way == "credential":
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    else:
        monkeypatch.setenv("EDGEPUB_HTTP__TOKEN_FILE", str(tmp_path / "http_token"))
    settings = load(tmp_path, changed(**changes))
    token = read_http_token(settings.http)
    assert token.get_secret_value() == TOKEN
    assert TOKEN not in repr(settings) + str(settings) + str(token)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "the token file is empty: PATH; make one with `openssl rand -hex 16`"),
        ("\n", "the token file is empty: PATH; make one with `openssl rand -hex 16`"),
        ("0123456789abcde\n", "the token must have at least 16 characters: PATH; make one with `openssl rand -hex 16`"),
        ("0123456789 abcdef", "the token must be printable ASCII on one line, without spaces: PATH; make one with `openssl rand -hex 16`"),
        ("0123456789\nabcdef0", "the token must be printable ASCII on one line, without spaces: PATH; make one with `openssl rand -hex 16`"),
        ("0123456789abcdefé", "the token must be printable ASCII on one line, without spaces: PATH; make one with `openssl rand -hex 16`"),
        (b"\xff" * 16, "the token file is not UTF-8 text: PATH"),
    ],
)  # fmt: skip
def test_an_unusable_token_is_reported(tmp_path, monkeypatch, content, why):
    path = tmp_path / "http_token"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    why = why.replace("PATH", str(path))
    assert mistakes(tmp_path, changed(http__listen=9464, http__token_file="http_token")) == [f"http.token_file: {why}"]
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert mistakes(tmp_path, changed(http__listen=9464)) == [f"http: {why}"]
    assert load(tmp_path, GOOD), "there is no server"


def test_root_s_check_finds_the_token_of_the_service(tmp_path):
    (tmp_path / "edgepub.http_token").write_text(TOKEN)
    open_to_all = load(tmp_path, changed(http__listen="0.0.0.0:9464"), credstore=tmp_path)
    assert read_http_token(open_to_all.http, tmp_path)
    assert read_http_token(load(tmp_path, changed(http__listen=9464)).http, tmp_path) is None, "needs none"


def test_hosts_are_stored_as_browsers_send_them(tmp_path):
    settings = load(tmp_path, changed(http__hosts=["Edge.Example.org", "küche.lan"]))
    assert settings.http.hosts == ["edge.example.org", "xn--kche-0ra.lan"]


def test_node_settings_are_read_without_the_cameras(tmp_path, monkeypatch):
    """Their files may be gone, like the credentials of a stopped service."""
    path = tmp_path / "edgepub.yaml"
    path.write_text("node: garage\nmqtt: {url: mqtt://h}\ncameras: {porch: {source_file: /nonexistent, model: gone}}\n")
    monkeypatch.setenv("EDGEPUB_MQTT__KEEPALIVE_S", "7")
    node = load_node_settings(path)
    assert (node.node, node.mqtt.url, node.mqtt.keepalive_s, node.client_id) == (
        "garage",
        "mqtt://h",
        7,
        "edgepub-garage",
    )
    path.write_text("node: Garage!\n")
    with pytest.raises(ConfigurationError, match="node: the name must have"):
        load_node_settings(path)


def test_root_s_commands_find_the_password_of_the_service(tmp_path):
    (tmp_path / "edgepub.mqtt_password").write_text("s3cret\n")
    settings = load(tmp_path, changed(mqtt__username="edge"), credstore=tmp_path)
    assert read_broker_password(settings.mqtt, tmp_path).get_secret_value() == "s3cret"
    assert read_broker_password(load(tmp_path, GOOD).mqtt, tmp_path) is None, "without a user name, none is needed"


def test_no_mistake_shows_a_secret(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEPUB_MQTT__PASSWORD", "s3cret")
    text = changed(
        mqtt__url="mqtt://u:s3cret@h",
        cameras__porch__source="rtsp://u:s3cret@10.0.0.5/s",
        cameras__porch__loop=True,
        models__coco__token=["s3cret"],
    )
    lines = mistakes(tmp_path, text)
    assert len(lines) == 3
    assert "s3cret" not in "\n".join(lines)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_read_permission(tmp_path):
    (tmp_path / "secret").write_text("x")
    (tmp_path / "secret").chmod(0)
    assert mistakes(tmp_path, changed(mqtt__username="me", mqtt__password_file="secret")) == [
        f"mqtt.password_file: cannot be read: Permission denied: {tmp_path / 'secret'}"
    ]


def test_the_default_path(in_directory, monkeypatch):
    assert str(default_config_path()) == "/etc/edgepub/edgepub.yaml"
    (in_directory / "edgepub.yaml").write_text(GOOD)
    assert str(default_config_path()) == "edgepub.yaml"
    monkeypatch.setenv("EDGEPUB_CONFIG", "/srv/edge.yaml")
    assert str(default_config_path()) == "/srv/edge.yaml"
