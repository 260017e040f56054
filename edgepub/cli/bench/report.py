"""`edgepub bench`: measure the subjects one after another and print their tables."""

import functools
import platform
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from edgepub.cli.bench.brokers import broker
from edgepub.cli.bench.capture import capture
from edgepub.cli.bench.delivery import delivery
from edgepub.cli.bench.freshness import freshness
from edgepub.cli.bench.objects import everything, objects
from edgepub.cli.bench.overlap import overlap
from edgepub.cli.bench.payloads import payloads
from edgepub.cli.bench.pipelines import pipelines
from edgepub.cli.bench.publishing import publishing
from edgepub.cli.bench.scaling import scaling
from edgepub.cli.bench.sharing import sharing
from edgepub.cli.bench.slow_link import slow_link
from edgepub.cli.bench.spooling import spooling
from edgepub.cli.bench.startup import startup
from edgepub.cli.bench.streaming import streaming
from edgepub.cli.bench.subjects import Subject
from edgepub.cli.bench.tables import ROUNDS
from edgepub.cli.bench.viewers import viewers
from edgepub.core.versions import installed_versions

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table


def report(subjects: Sequence[Subject]) -> int:
    """Measure the subjects (none: all) and print their tables. Return the exit code: 0."""
    console = Console(width=None if Console().is_terminal else 140)
    versions = installed_versions()
    console.print(f"edgepub {versions['edgepub']}, PySDK {versions['pysdk']}, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as name, broker() as (kind, port):
        console.print(f"Broker: {kind}. Compared programs run alternately; figures are medians of {ROUNDS} rounds.\n")
        directory = Path(name)
        tables: dict[Subject, Callable[[], Table | Group]] = {
            Subject.PAYLOADS: payloads,
            Subject.PUBLISHING: functools.partial(publishing, port),
            Subject.DELIVERY: functools.partial(delivery, port),
            Subject.SPOOLING: functools.partial(spooling, port, directory),
            Subject.STREAMING: functools.partial(streaming, port, directory),
            Subject.FRESHNESS: functools.partial(freshness, port, directory),
            Subject.CAPTURE: capture,
            Subject.OVERLAP: functools.partial(overlap, directory),
            Subject.PIPELINES: functools.partial(pipelines, directory),
            Subject.SLOW_LINK: functools.partial(slow_link, port, directory),
            Subject.SCALING: functools.partial(scaling, port, directory),
            Subject.SHARING: sharing,
            Subject.OBJECTS: objects,
            Subject.EVERYTHING: functools.partial(everything, port, directory),
            Subject.VIEWERS: functools.partial(viewers, port, directory),
            Subject.STARTUP: functools.partial(startup, directory),
        }
        for subject in subjects or list(Subject):
            console.print(tables[subject]())
    return 0
