"""The stats payload, schema ``edgepub.stats/1``: what a node and its cameras did in the last interval."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import orjson
from pydantic import ConfigDict, Field, TypeAdapter, with_config
from typing_extensions import TypedDict

from edgepub.telemetry.histogram import Buckets, difference, quantile
from edgepub.telemetry.metrics import Reading

SCHEMA = "edgepub.stats/1"

Count = Annotated[int, Field(ge=0)]
Figure = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Quantiles(TypedDict):
    """How long something took, in milliseconds, right to 2 %."""

    p50: Figure
    p95: Figure
    p99: Figure


class CameraStats(TypedDict):
    """A camera; rates and latencies are those of the interval, all counts are since the daemon's start."""

    fps_in: Annotated[float, Field(ge=0, description="frames a second that the source gave")]
    fps_inferred: Annotated[float, Field(ge=0, description="frames a second that the model answered")]
    fps_published: Annotated[float, Field(ge=0, description="detections messages a second that left")]
    captured: Annotated[int, Field(ge=0, description="frames that the source gave")]
    inferred: Annotated[int, Field(ge=0, description="frames that the model answered")]
    published: Annotated[int, Field(ge=0, description="detections messages that left")]
    sampled: Annotated[
        dict[str, Count],
        Field(
            description="left out on purpose, by reason: before inference `max_fps` and `busy` (the model was at "
            "work), after it `unchanged`, `every`, `max_rate_hz` and `adaptive`"
        ),
    ]
    dropped: Annotated[
        dict[str, Count],
        Field(
            description="messages lost, by reason: `queue_full`, `invalid` (not a result of detections), `stopped`; of "
            "events `event_queue_full` (more than `outbox.durable.max_messages` waited), `event_expired` (older than "
            "`max_age_s`), `event_damaged` (the file), `event_invalid`, `event_stopped` (the disk did not take it); of "
            "snapshots `snapshot_given_up`; and of each what the broker does not take, `too_large` and `refused`"
        ),
    ]
    events: Annotated[int, Field(ge=0, description="events that were published")]
    snapshots: Annotated[int, Field(ge=0, description="pictures that were made")]
    reconnects: Annotated[int, Field(ge=0, description="how often it came back after it was offline")]
    latency_ms: Annotated[
        dict[str, Quantiles],
        Field(
            description="by stage: `capture_to_inference`, `inference`, `queue` (in the outbox), `publish` (out of it "
            "until the socket has taken it), `total` (from the capture on); without those in which nothing happened"
        ),
    ]
    model_ms: Annotated[
        dict[str, Quantiles],
        Field(description="`preprocess`, `inference`, `postprocess` inside the runtime, where it reports them"),
    ]


class OutboxStats(TypedDict):
    """Messages that wait."""

    stream: Count
    announcements: Annotated[int, Field(ge=0, description="what Home Assistant is told")]
    state: Count
    durable: Annotated[int, Field(ge=0, description="events, on disk")]
    pictures: Count


class BrokerStats(TypedDict):
    """The connection to the broker."""

    reconnects: Annotated[int, Field(ge=0, description="sessions after the first")]


@with_config(ConfigDict(title=SCHEMA))
class Stats(TypedDict):
    """What a node and its cameras did in the last interval."""

    timestamp: Annotated[float, Field(allow_inf_nan=False, description="the end of the interval, Unix seconds")]
    schema: Annotated[Literal["edgepub.stats/1"], Field(description="the name and version of this form")]
    node: str
    boot_id: Annotated[str, Field(description="changes at every start of the daemon")]
    interval_s: Annotated[float, Field(gt=0, description="the time that rates and latencies are about")]
    uptime_s: Figure
    started: Annotated[
        float,
        Field(
            allow_inf_nan=False,
            description="when the daemon started, Unix seconds; the same in each message, unless the clock was set",
        ),
    ]
    rss_bytes: Annotated[int, Field(ge=0, description="the daemon's memory")]
    cpu_percent: Annotated[float, Field(ge=0, description="the daemon's processor time in the interval; 100: one core")]
    outbox: OutboxStats
    broker: BrokerStats
    cameras: dict[str, CameraStats]


_VALIDATOR = TypeAdapter(Stats)
_CAMERA = TypeAdapter(CameraStats)


def json_schema() -> dict[str, Any]:
    """Return the payload's JSON Schema (draft 2020-12)."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_VALIDATOR.json_schema()}


def encode(payload: Mapping[str, Any]) -> bytes:
    """Return the payload, validated, as JSON."""
    return orjson.dumps(_VALIDATOR.validate_python(payload))


def camera_stats(before: Reading, now: Reading) -> CameraStats:
    """Return what a camera did between two readings."""
    seconds = max(now.at_s - before.at_s, 1e-3)
    return _CAMERA.validate_python(
        {
            "fps_in": round((now.captured - before.captured) / seconds, 2),
            "fps_inferred": round((now.inferred - before.inferred) / seconds, 2),
            "fps_published": round((now.published - before.published) / seconds, 2),
            "captured": now.captured,
            "inferred": now.inferred,
            "published": now.published,
            "sampled": now.sampled,
            "dropped": now.dropped,
            "events": now.events,
            "snapshots": now.snapshots,
            "reconnects": now.reconnects,
            "latency_ms": _quantiles(before.stages_ms, now.stages_ms),
            "model_ms": _quantiles(before.model_ms, now.model_ms),
        }
    )


def _quantiles(before: Mapping[str, Buckets], now: Mapping[str, Buckets]) -> dict[str, dict[str, float]]:
    windows = {name: difference(before.get(name, {}), buckets) for name, buckets in now.items()}
    return {
        name: {f"p{part}": _part(window, part) for part in (50, 95, 99)} for name, window in windows.items() if window
    }


def _part(window: Buckets, part: int) -> float:
    value = quantile(window, part / 100)
    return 0.0 if value is None else round(value, 3)
