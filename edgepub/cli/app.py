"""The commands. No logic."""

import json
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from edgepub.config.effective import load_effective
from edgepub.config.load import default_config_path, find_config_path, load_node_settings
from edgepub.config.settings import MqttSettings, Settings
from edgepub.core.versions import versions
from edgepub.daemon.run import leave
from edgepub.daemon.run import run as run_daemon
from edgepub.home_assistant.discovery import build_messages as discovery_messages
from edgepub.mqtt import store
from edgepub.mqtt.payloads import detections, event, info, stats

app = typer.Typer(
    help="Cameras and a DeGirum-supported accelerator in, clean and timely MQTT out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Config = Annotated[
    Path | None,
    typer.Option(
        "-c",
        "--config",
        metavar="FILE",
        help="The configuration. \\[default: $EDGEPUB_CONFIG, ./edgepub.yaml, /etc/edgepub/edgepub.yaml]",
        show_default=False,
    ),
]


def _broker_url(value: str | None) -> str | None:
    try:
        return None if value is None else MqttSettings(url=value).url
    except ValidationError as error:
        raise typer.BadParameter(error.errors()[0]["msg"].removeprefix("Value error, ")) from None


Broker = Annotated[
    str | None,
    typer.Option(
        metavar="URL", callback=_broker_url, help="Use this broker, like mqtt://127.0.0.1:1883.", show_default=False
    ),
]


def _config_schema() -> dict[str, Any]:
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Settings.model_json_schema()}


_SCHEMAS: dict[str, Callable[[], dict[str, Any]]] = {
    "config": _config_schema,
    "detections": detections.json_schema,
    "event": event.json_schema,
    "info": info.json_schema,
    "stats": stats.json_schema,
}


class SchemaName(StrEnum):
    """The schemas that can be printed."""

    CONFIG = "config"
    DETECTIONS = "detections"
    EVENT = "event"
    INFO = "info"
    STATS = "stats"


@app.command()
def run(config: Config = None) -> None:
    """Run the daemon, in the foreground."""
    raise typer.Exit(run_daemon(config or default_config_path()))


@app.command()
def check(
    config: Config = None,
    connect: Annotated[
        bool,
        typer.Option("--connect", help="Also reach the broker, open each source, and let each model look at a frame."),
    ] = False,
) -> None:
    """Check the configuration, and list every mistake in it."""
    path = config or default_config_path()
    what = load_effective(path)
    settings = what.settings
    counts = [_counted(len(settings.cameras), "camera"), _counted(len(settings.models), "model")]
    typer.echo(f"{path}: good: {', '.join(counts)}, broker {settings.mqtt.url}")
    for line in what.told():
        typer.echo(line)
    if connect:
        from edgepub.cli.check import inspect

        failed = False
        for is_good, line in inspect(settings):
            print(line, flush=True)
            failed |= not is_good
        leave(int(failed))  # a source or a model may hang


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


@app.command()
def schema(name: Annotated[SchemaName, typer.Argument(help="Which one.", show_default=False)]) -> None:
    """Print a JSON Schema (draft 2020-12)."""
    typer.echo(json.dumps(_SCHEMAS[name](), indent=2))


@app.command()
def discovery(
    config: Config = None,
    purge: Annotated[
        bool,
        typer.Option("--purge", help="Clear every retained topic of this node on the broker; it must not be running."),
    ] = False,
) -> None:
    """Print the Home Assistant discovery messages, by topic, without sending them."""
    path = config or default_config_path()
    if purge:
        from edgepub.cli.purge import purge as purged

        node = load_node_settings(path)
        topics = purged(node)
        for topic in topics:
            typer.echo(topic)
        typer.echo(f"{_counted(len(topics), 'retained topic')} cleared on {node.mqtt.url}", err=True)
        return
    what = load_effective(path)
    settings, folder = what.settings, what.folder
    published = store.read_retained_topics(folder)
    if not settings.home_assistant.enabled:
        typer.echo("home_assistant.enabled is false: nothing is sent", err=True)
    elif open_ended := [name for name, camera in settings.cameras.items() if None in camera.counted.values()]:
        known = f"{folder} knows of none" if published is None else f"those that {folder} knows of are here"
        typer.echo(f"{', '.join(open_ended)}: labels that are not named come when they are seen; {known}", err=True)
    typer.echo(json.dumps(discovery_messages(settings, published or []), indent=2, ensure_ascii=False))


@app.command()
def watch(
    topic: Annotated[
        str | None,
        typer.Argument(
            metavar="TOPIC", help="Only what is below it, like edgepub/garage or edgepub/+/porch.", show_default=False
        ),
    ] = None,
    config: Config = None,
    broker: Broker = None,
) -> None:
    """See live what nodes publish: cameras, figures, events.

    Without --broker it is the configuration's, or mqtt://127.0.0.1:1883.
    A login for --broker: EDGEPUB_MQTT__USERNAME, EDGEPUB_MQTT__PASSWORD_FILE.
    """
    from edgepub.cli.watch.choice import choose
    from edgepub.cli.watch.show import show

    path = config or (None if broker else find_config_path())
    settings = load_node_settings(path, broker).mqtt
    try:
        choice = choose(topic, settings.topic_prefix)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="TOPIC") from None
    raise typer.Exit(show(settings, choice))


@app.command()
def demo(
    seconds: Annotated[float | None, typer.Option(help="End after so many seconds.", min=1, show_default=False)] = None,
    broker: Broker = None,
    json: Annotated[bool, typer.Option("--json", help="Print one payload a line, and nothing else.")] = False,
) -> None:
    """See it work: a broker, a video and a real model on the CPU, with nothing to set up."""
    from edgepub.cli.demo.show import show

    raise typer.Exit(show(seconds, broker, as_json=json))


@app.command()
def bench(
    subject: Annotated[
        list[str] | None,
        typer.Argument(help="Only these. \\[default: all, in fifty minutes]", show_default=False),
    ] = None,
) -> None:
    """Measure edgepub, beside DeGirum's own streaming loop where there is something to compare, in one run."""
    from edgepub.cli.bench.report import Subject, report

    try:
        subjects = [Subject(each) for each in subject or []]
    except ValueError as error:
        raise typer.BadParameter(f"{error}; it is one of {', '.join(Subject)}") from None
    raise typer.Exit(report(subjects))


def _print_versions(asked: bool) -> None:
    if asked:
        for name, number in versions().items():
            typer.echo(f"{name} {number}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_versions, is_eager=True, help="Print the versions.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line."""
    app(prog_name="edgepub", args=sys.argv[1:])
