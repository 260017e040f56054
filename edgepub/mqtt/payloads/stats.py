"""The stats payload, schema ``edgepub.stats/1``: statistics of a node and its cameras."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NotRequired

import orjson
from pydantic import ConfigDict, Field, TypeAdapter, with_config
from typing_extensions import TypedDict

from edgepub.mqtt.payloads.iso_time import IsoTime
from edgepub.mqtt.payloads.servers import Servers, describe_servers
from edgepub.telemetry.histogram import Buckets, difference, quantile
from edgepub.telemetry.metrics import Reading
from edgepub.telemetry.status import CameraState

SCHEMA = "edgepub.stats/1"

Count = Annotated[int, Field(ge=0)]
Figure = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Quantiles(TypedDict):
    """Quantiles of a duration in milliseconds, accurate to 2 %."""

    p50: Figure
    p95: Figure
    p99: Figure


class CameraStats(Servers):
    """A camera. Rates and latencies cover the interval; counts are totals since the daemon's start."""

    fps_in: Annotated[float, Field(ge=0, description="frames per second from the source")]
    fps_inferred: Annotated[float, Field(ge=0, description="frames per second processed by the model")]
    fps_published: Annotated[float, Field(ge=0, description="detections messages sent per second")]
    captured: Annotated[int, Field(ge=0, description="frames from the source")]
    inferred: Annotated[int, Field(ge=0, description="frames processed by the model")]
    published: Annotated[int, Field(ge=0, description="detections messages sent")]
    sampled: Annotated[
        dict[str, Count],
        Field(
            description="frames and results left out on purpose, by reason: before inference `decode` "
            "(`capture.decode` leaves them out), `late` (decoding was behind), `undecodable` (damaged or too large), "
            "`max_fps` and `busy` (the model was busy), after it `unchanged`, `every`, `max_rate_hz` and `adaptive`"
        ),
    ]
    dropped: Annotated[
        dict[str, Count],
        Field(
            description="lost messages, by reason: `queue_full`, `invalid` (not valid detections), `stopped`; for "
            "events `event_queue_full` (more than `outbox.durable.max_messages` waited), `event_expired` (older than "
            "`max_age_s`), `event_damaged` (the file was damaged), `event_stopped` (the disk did not accept it); what "
            "the broker does not accept: `too_large`, `event_too_large`, `snapshot_too_large`, `event_refused` and "
            "`snapshot_refused`; and over what sessions ended: `given_up`, `event_given_up` and `snapshot_given_up`"
        ),
    ]
    objects_dropped: NotRequired[
        Annotated[
            dict[str, Count],
            Field(
                description="objects left out of results, by reason: `invalid` (no object: its score is not a number, "
                "for example), `too_many` (a result has at most 500; the best are kept)"
            ),
        ]
    ]
    behind_s: NotRequired[
        Annotated[
            float,
            Field(
                ge=0,
                description="how old a frame was when it had been decoded: the oldest of the last 10 to 20 s; absent "
                "for files",
            ),
        ]
    ]
    clock_offset_s: NotRequired[
        Annotated[
            float,
            Field(
                allow_inf_nan=False,
                description="how far the camera's own clock is ahead of this node's; absent if the camera does not "
                "tell its time (RTCP)",
            ),
        ]
    ]
    events: Annotated[int, Field(ge=0, description="published events")]
    visits: Annotated[int, Field(ge=0, description="published visits")]
    snapshots: Annotated[int, Field(ge=0, description="snapshots made")]
    reconnects: Annotated[int, Field(ge=0, description="how often the camera came back after it was offline")]
    latency_ms: Annotated[
        dict[str, Quantiles],
        Field(
            description="by stage: `capture_to_inference`, `inference`, `queue` (time in the outbox), `publish` (from "
            "the outbox until the socket has accepted it), `total` (from the capture); stages without a message in the "
            "interval are absent"
        ),
    ]
    model_ms: Annotated[
        dict[str, Quantiles],
        Field(description="`preprocess`, `inference`, `postprocess` inside the runtime, if it reports them"),
    ]


class LimitStats(TypedDict):
    """A resource that is the limit: with more of it, the node would do more."""

    resource: Annotated[str, Field(description="`decoding`, `model` (its device), `python` or `broker`; more may come")]
    cameras: Annotated[
        list[str], Field(description="the cameras that get less because of it; empty if that cannot be told")
    ]
    text: Annotated[str, Field(description="what was measured and the way out, one line")]


class OutboxStats(TypedDict):
    """Waiting messages, by lane."""

    stream: Count
    announcements: Annotated[int, Field(ge=0, description="Home Assistant discovery")]
    state: Count
    durable: Annotated[int, Field(ge=0, description="events and visits, on disk")]
    pictures: Count


class BrokerStats(TypedDict):
    """The connection to the broker."""

    reconnects: Annotated[int, Field(ge=0, description="sessions after the first")]
    under_way: NotRequired[
        Annotated[int, Field(ge=0, description="messages sent that the broker has not acknowledged yet")]
    ]
    held_back: NotRequired[
        Annotated[int, Field(ge=0, description="topics held back because sessions with the broker ended over them")]
    ]


@with_config(ConfigDict(title=SCHEMA))
class Stats(TypedDict):
    """Statistics of a node and its cameras. Rates and latencies cover the last interval."""

    timestamp: Annotated[float, Field(allow_inf_nan=False, description="end of the interval, Unix seconds")]
    time: NotRequired[Annotated[IsoTime, Field(description="`timestamp` as text: ISO 8601, UTC, with milliseconds")]]
    schema: Annotated[Literal["edgepub.stats/1"], Field(description="name and version of this schema")]
    node: str
    boot_id: Annotated[str, Field(description="changes at every start of the daemon")]
    interval_s: Annotated[float, Field(gt=0, description="length of the interval that rates and latencies cover")]
    uptime_s: Figure
    started: Annotated[
        float,
        Field(
            allow_inf_nan=False,
            description="when the daemon started, Unix seconds; the same in each message, unless the clock was set",
        ),
    ]
    rss_bytes: Annotated[int, Field(ge=0, description="memory of the daemon")]
    cpu_percent: Annotated[float, Field(ge=0, description="CPU time of the daemon in the interval; 100 is one core")]
    limits: NotRequired[
        Annotated[
            list[LimitStats], Field(description="which resources are the limit now; empty while the node keeps up")
        ]
    ]
    loop_late_ms: NotRequired[
        Annotated[Quantiles, Field(description="how late the event loop, which sends the messages, wakes up")]
    ]
    outbox: OutboxStats
    broker: BrokerStats
    cameras: dict[str, CameraStats]


VALIDATOR = TypeAdapter(Stats)
_CAMERA = TypeAdapter(CameraStats)


def encode(payload: Mapping[str, Any]) -> bytes:
    """Return the payload, validated, as JSON."""
    return orjson.dumps(VALIDATOR.validate_python(payload))


def camera_stats(before: Reading, now: Reading, state: CameraState | None = None) -> CameraStats:
    """Return the statistics of a camera between two readings, with the AI servers of its state."""
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
            "objects_dropped": now.objects_dropped,
            **_present(behind_s=now.behind_s, clock_offset_s=now.clock_offset_s),
            **describe_servers(state),
            "events": now.events,
            "visits": now.visits,
            "snapshots": now.snapshots,
            "reconnects": now.reconnects,
            "latency_ms": _quantiles(before.stages_ms, now.stages_ms),
            "model_ms": _quantiles(before.model_ms, now.model_ms),
        }
    )


def quantiles(before: Buckets, now: Buckets) -> Quantiles | None:
    """Return the quantiles of the values between two copies of a histogram; None without a value."""
    window = difference(before, now)
    p50, p95, p99 = (round(quantile(window, percent / 100) or 0.0, 3) for percent in (50, 95, 99))
    return Quantiles(p50=p50, p95=p95, p99=p99) if window else None


def _present(**figures: float | None) -> dict[str, float]:
    return {name: round(value, 3) for name, value in figures.items() if value is not None}


def _quantiles(before: Mapping[str, Buckets], now: Mapping[str, Buckets]) -> dict[str, Quantiles]:
    found = {name: quantiles(before.get(name, {}), buckets) for name, buckets in now.items()}
    return {name: figures for name, figures in found.items() if figures}
