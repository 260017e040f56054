"""The commands. Each imports what it needs when it runs, so that the quick ones start quickly."""

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from edgepub.cli.bench.subjects import Subject

app = typer.Typer(
    help="Publish on MQTT what cameras see, with a model on a DeGirum-supported accelerator.",
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
        help="The configuration file. "
        "\\[default: $EDGEPUB_CONFIG, else ./edgepub.yaml, else /etc/edgepub/edgepub.yaml]",
        show_default=False,
    ),
]


def _check_broker_url(value: str | None) -> str | None:
    if value is None:
        return None
    from pydantic import ValidationError

    from edgepub.config.mqtt import MqttSettings

    try:
        return MqttSettings(url=value).url
    except ValidationError as error:
        raise typer.BadParameter(error.errors()[0]["msg"].removeprefix("Value error, ")) from None


Broker = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        callback=_check_broker_url,
        help="Use this broker, for example mqtt://127.0.0.1:1883.",
        show_default=False,
    ),
]


class SchemaName(StrEnum):
    """The schemas that can be printed."""

    CONFIG = "config"
    DETECTIONS = "detections"
    EVENT = "event"
    INFO = "info"
    STATS = "stats"
    VISIT = "visit"


@app.command()
def run(config: Config = None) -> None:
    """Run the daemon in the foreground."""
    _require_system_libraries()
    from edgepub.config.load import default_config_path
    from edgepub.daemon.run import run as run_daemon

    raise typer.Exit(run_daemon(config or default_config_path()))


@app.command()
def check(
    config: Config = None,
    connect: Annotated[
        bool,
        typer.Option(
            "--connect", help="Also connect to the broker, open each source, and run each model on one frame."
        ),
    ] = False,
) -> None:
    """Check the configuration, and list every error in it."""
    from edgepub.cli.notes import notes
    from edgepub.config.effective import load_effective
    from edgepub.config.load import default_config_path

    path = config or default_config_path()
    effective = load_effective(path)
    settings = effective.settings
    counts = [_count_text(len(settings.cameras), "camera"), _count_text(len(settings.models), "model")]
    typer.echo(f"{path}: good: {', '.join(counts)}, broker {settings.mqtt.display_url}")
    for line in notes(effective):
        typer.echo(line)
    if connect:
        _require_system_libraries()
        from edgepub.cli.check import inspect
        from edgepub.core.process import exit_now

        failed = False
        for is_good, line in inspect(settings):
            print(line, flush=True)
            failed |= not is_good
        exit_now(int(failed))  # a source or a model may hang


@app.command()
def devices(
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """List the runtimes and devices that PySDK finds here, with a model for each device."""
    _require_system_libraries()
    from edgepub.cli.devices import describe_devices

    typer.echo(describe_devices(as_json=json))


@app.command()
def schema(name: Annotated[SchemaName, typer.Argument(help="The schema to print.", show_default=False)]) -> None:
    """Print a JSON Schema (draft 2020-12)."""
    from edgepub.cli.schemas import json_schema

    typer.echo(json.dumps(json_schema(name), indent=2))


@app.command()
def discovery(
    config: Config = None,
    purge: Annotated[
        bool,
        typer.Option("--purge", help="Clear all retained topics of this node from the broker. Stop edgepub first."),
    ] = False,
) -> None:
    """Print the Home Assistant discovery messages without sending them."""
    from edgepub.config.load import default_config_path

    path = config or default_config_path()
    if purge:
        _purge(path)
        return
    from edgepub.cli.discovery import read_discovery

    messages, notes = read_discovery(path)
    for note in notes:
        typer.echo(note, err=True)
    typer.echo(json.dumps(messages, indent=2, ensure_ascii=False))


@app.command()
def watch(
    topic: Annotated[
        str | None,
        typer.Argument(
            metavar="TOPIC",
            help="Show only topics below this one, for example edgepub/garage or edgepub/+/porch.",
            show_default=False,
        ),
    ] = None,
    config: Config = None,
    broker: Broker = None,
) -> None:
    """Show live what nodes publish: cameras, rates, events.

    Without --broker, this uses the broker in the configuration, or mqtt://127.0.0.1:1883.
    To log in to --broker, set EDGEPUB_MQTT__USERNAME and EDGEPUB_MQTT__PASSWORD_FILE.
    """
    from edgepub.cli.watch.choice import choose
    from edgepub.cli.watch.show import show
    from edgepub.config.load import find_config_path, load_node_settings

    path = config or (None if broker else find_config_path())
    settings = load_node_settings(path, broker).mqtt
    try:
        choice = choose(topic, settings.topic_prefix)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="TOPIC") from None
    raise typer.Exit(show(settings, choice))


@app.command()
def demo(
    seconds: Annotated[
        float | None,
        typer.Option(help="Stop after this many seconds. \\[default: run until Ctrl-C]", min=1, show_default=False),
    ] = None,
    broker: Broker = None,
    json: Annotated[bool, typer.Option("--json", help="Print only the payloads of detections, one per line.")] = False,
) -> None:
    """Run a complete demo with its own broker, a video, and a real model on the CPU."""
    _require_system_libraries()
    from edgepub.cli.demo.show import show

    raise typer.Exit(show(seconds, broker, as_json=json))


@app.command()
def bench(
    subject: Annotated[
        list[str] | None,
        typer.Argument(
            help=f"Measure only these: {', '.join(Subject)}. \\[default: all, in an hour]", show_default=False
        ),
    ] = None,
) -> None:
    """Measure edgepub. Where possible, compare it with DeGirum's own streaming loop in the same run."""
    _require_system_libraries()
    from edgepub.cli.bench.report import report

    if unknown := [name for name in subject or [] if name not in list(Subject)]:
        raise typer.BadParameter(f"{unknown[0]!r} is not one of {', '.join(Subject)}")
    raise typer.Exit(report([Subject(name) for name in subject or []]))


def _print_versions(requested: bool) -> None:
    if requested:
        from edgepub.core.versions import installed_versions

        for name, number in installed_versions().items():
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


def _require_system_libraries() -> None:
    """Fail with one line before an import of OpenCV or PySDK fails with a traceback.

    Raises:
        MissingLibraryError: a system library is missing.

    """
    from edgepub.core import system_libraries

    system_libraries.check()


def _count_text(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _purge(path: Path) -> None:
    from edgepub.cli.purge import purge
    from edgepub.config.load import load_node_settings

    node = load_node_settings(path)
    topics = purge(node)
    for topic in topics:
        typer.echo(topic)
    typer.echo(f"{_count_text(len(topics), 'retained topic')} cleared on {node.mqtt.display_url}", err=True)
