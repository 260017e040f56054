"""Many live cameras in one daemon: 1 to 256 echo cameras at 5 fps, each with three moving objects.

``python -m edgepub.cli.bench.many_cameras [--beside DIRECTORY] [CAMERAS...]`` prints the table; with `--beside`, also
for another checkout of edgepub, in the same run.
"""

import argparse
import itertools
import json
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console, Group

import edgepub
from edgepub.cli.bench import echo, moving_objects
from edgepub.cli.bench.brokers import broker
from edgepub.cli.bench.tables import table
from edgepub.cli.bench.watching import edgepub_run, run_watched

NUMBERS = (1, 8, 16, 32, 64, 128, 256)
FPS = 5
_OBJECTS = 3
_STEP = 0.03  # of the frame, from one frame to the next: a person who walks by
_FRAMES = 400
_START_TIMEOUT_S = 40.0
_WARM_UP_S = 8.0
_WINDOW_S = 20.0
_STATS_S = 2.0
_OBSERVED_RUN = Path(__file__).with_name("observed_run.py")
_ROLES = ("capture", "inference", "event loop", "other")
_CAMERA = {
    "loop": True,
    "realtime": True,
    "tracking": True,
    "snapshot": {"enabled": True},
}


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures for a number of cameras."""

    cameras: int
    published: float
    """Detections messages per second, of all cameras together."""
    slowest: float
    """Those of the slowest camera."""
    fastest: float
    """Those of the fastest camera."""
    capture_to_publish_ms: tuple[float, float]
    """Median and 99th percentile."""
    cpu_percent: float
    """CPU time of the daemon and its child processes; 100: one core."""
    cpu_ms: dict[str, float]
    """CPU time per message, by the kind of thread, in milliseconds."""
    switches: float
    """Voluntary context switches per message."""
    late_ms: tuple[float, float]
    """How late the event loop woke up: 99th percentile and maximum."""
    stats_late_s: float
    """The longest time between two stats messages, minus their interval; infinite without two."""
    rss_bytes: int
    threads: int


def many_cameras(port: int, directory: Path, numbers: Sequence[int] = NUMBERS, beside: Path | None = None) -> Group:
    """Measure these numbers of cameras, and return the tables."""
    title = f"{FPS} fps per camera, {_OBJECTS} moving objects, tracking and snapshots, no model (echo)"
    results = table(
        f"Live cameras: {title}",
        "cameras",
        "messages/s",
        "wanted",
        "slowest camera",
        "fastest camera",
        "capture to publish ms: p50, p99",
        "event loop late ms: p99, max",
        "stats late s",
    )
    costs = table(
        "The same cameras: CPU milliseconds per message, by the kind of thread",
        "cameras",
        "all",
        *_ROLES,
        "switches per message",
        "CPU %",
        "memory MB",
        "threads",
    )
    zoo, video = directory / "many-zoo", directory / "many.avi"
    echo.make_model(zoo)
    frames = itertools.islice(moving_objects.frames(_OBJECTS, _STEP), _FRAMES)
    echo.make_video(video, map(moving_objects.to_model_results, frames), FPS)
    own = Path(edgepub.__file__).parents[1]
    for number in numbers:
        for name, checkout in (("", own), *([("beside: ", beside)] if beside else [])):
            figures = measure(number, checkout, zoo, video, port, directory)
            results.add_row(f"{name}{number}", *_format_results(figures))
            costs.add_row(f"{name}{number}", *_format_costs(figures))
    return Group(results, costs)


def measure(number: int, checkout: Path, zoo: Path, video: Path, port: int, directory: Path) -> Figures:
    """Run the daemon of a checkout with a number of cameras."""
    published: Counter[str] = Counter()
    ages_ms: list[float] = []
    stats_at_s: list[float] = []

    def take(topic: str, payload: bytes) -> None:
        if topic.endswith("/stats"):
            stats_at_s.append(time.monotonic())
        else:
            published[topic] += 1
            ages_ms.append(json.loads(payload)["timing_ms"]["capture_to_publish"])

    names = [f"camera{n}" for n in range(number)]
    cameras = {name: {**_CAMERA, "source": str(video)} for name in names}
    seen = directory / "observed.json"
    seen.unlink(missing_ok=True)
    command = edgepub_run(directory, port, zoo, "echo", cameras, stats={"interval_s": _STATS_S})
    command = [str(_OBSERVED_RUN), str(seen), *command[2:]]
    topics = ["edgepub/bench/stats", "edgepub/bench/+/detections"]
    with run_watched(command, port, topics, directory, take, {"PYTHONPATH": str(checkout)}) as process:
        process.wait_for_first()
        _wait_for_all(published, number)
        time.sleep(_WARM_UP_S)
        before, before_by_thread = published.copy(), _threads(process.pid)
        del ages_ms[:], stats_at_s[:]
        late_from = len(json.loads(seen.read_text())["late_ms"])
        from_s, from_cpu_s = time.monotonic(), process.cpu_s()
        time.sleep(_WINDOW_S)
        seconds, cpu_s = time.monotonic() - from_s, process.cpu_s() - from_cpu_s
        now, by_thread = published.copy(), _threads(process.pid)
        observed = json.loads(seen.read_text())
        rss_bytes = process.rss_bytes()
        stats_gaps_s = [*itertools.pairwise([from_s, *stats_at_s, time.monotonic()])]
    rates = [(now[topic] - before[topic]) / seconds for topic in (f"edgepub/bench/{name}/detections" for name in names)]
    messages = max(1.0, sum(rates) * seconds)
    cpu_ms, switches = _by_role(before_by_thread, by_thread, observed["threads"])
    late_ms = sorted(observed["late_ms"][late_from:]) or [float("inf")]
    ages_ms.sort()
    ages_ms = ages_ms or [float("inf")]
    return Figures(
        number,
        sum(rates),
        min(rates),
        max(rates),
        (ages_ms[len(ages_ms) // 2], ages_ms[int(0.99 * (len(ages_ms) - 1))]),
        100 * cpu_s / seconds,
        {role: cpu_ms[role] / messages for role in _ROLES},
        switches / messages,
        (late_ms[int(0.99 * (len(late_ms) - 1))], late_ms[-1]),
        max(0.0, max(after - first for first, after in stats_gaps_s) - _STATS_S),
        rss_bytes,
        len(by_thread),
    )


def _wait_for_all(published: Counter[str], number: int) -> None:
    end_s = time.monotonic() + _START_TIMEOUT_S
    while len(published) < number and time.monotonic() < end_s:
        time.sleep(0.2)


def _threads(pid: int) -> dict[str, tuple[float, int]]:
    """Return the CPU time in milliseconds and the voluntary switches of each thread, by its id."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            run_ns = int((task / "schedstat").read_text().split()[0])
            status = (task / "status").read_text()
        except OSError:  # it has ended
            continue
        found[task.name] = run_ns / 1e6, int(status.split("\nvoluntary_ctxt_switches:")[1].split()[0])
    return found


def _by_role(
    before: dict[str, tuple[float, int]], now: dict[str, tuple[float, int]], names: dict[str, str]
) -> tuple[dict[str, float], int]:
    cpu_ms: defaultdict[str, float] = defaultdict(float)
    switches = 0
    for thread, (ms, number) in now.items():
        ms_before, number_before = before.get(thread, (0.0, 0))
        cpu_ms[_role(names.get(thread, ""))] += ms - ms_before
        switches += number - number_before
    return cpu_ms, switches


def _role(name: str) -> str:
    if name == "MainThread":
        return "event loop"
    if name.startswith("camera-"):
        return "capture" if name.endswith("-capture") else "inference"
    return "other"


def _format_results(figures: Figures) -> list[str]:
    return [
        f"{figures.published:.0f}",
        f"{figures.cameras * FPS}",
        f"{figures.slowest:.1f}",
        f"{figures.fastest:.1f}",
        "{:.0f}, {:.0f}".format(*figures.capture_to_publish_ms),
        "{:.0f}, {:.0f}".format(*figures.late_ms),
        f"{figures.stats_late_s:.1f}",
    ]


def _format_costs(figures: Figures) -> list[str]:
    return [
        f"{sum(figures.cpu_ms.values()):.2f}",
        *(f"{figures.cpu_ms[role]:.2f}" for role in _ROLES),
        f"{figures.switches:.1f}",
        f"{figures.cpu_percent:.0f}",
        f"{figures.rss_bytes / 1e6:.0f}",
        str(figures.threads),
    ]


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--beside", type=Path)
    parser.add_argument("numbers", type=int, nargs="*", default=NUMBERS)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, broker() as (_, port):
        Console(width=140).print(many_cameras(port, Path(name), arguments.numbers, arguments.beside))


if __name__ == "__main__":
    _main()
