"""The program: dispatch commands, return exit codes."""

import sys

from edgepub.core.errors import ConfigurationError, EdgepubError
from edgepub.telemetry import journal

CONFIGURATION_WRONG = 78  # EX_CONFIG of sysexits.h
INTERRUPTED = 130  # what a shell reports for SIGINT


def main() -> None:
    """Run the command line. Print an error that the user can fix as lines on stderr, without a traceback."""
    try:
        from edgepub.cli import app

        app.main()
    except ConfigurationError as error:
        _print_errors(error.mistakes)
        sys.exit(CONFIGURATION_WRONG)
    except EdgepubError as error:
        _print_errors([f"edgepub: {error}"])
        sys.exit(1)
    except KeyboardInterrupt:  # before a command has installed its own handler
        sys.exit(INTERRUPTED)


def _print_errors(lines: list[str]) -> None:
    priority = "<3>" if journal.stderr_is_journal() else ""  # sd-daemon(3): error
    for line in lines:
        print(f"{priority}{line}", file=sys.stderr)


if __name__ == "__main__":
    main()
