"""The program: commands in, exit codes out."""

import sys

from edgepub.core import system_libraries
from edgepub.core.errors import ConfigurationError, EdgepubError
from edgepub.telemetry import journal

CONFIGURATION_WRONG = 78  # EX_CONFIG of sysexits.h
INTERRUPTED = 130  # as a shell tells of it


def main() -> None:
    """Run the command line; an error that a person can mend is lines on stderr, not a traceback."""
    try:
        system_libraries.require()
        from edgepub.cli import app  # which imports OpenCV, and would end in a traceback without them

        app.main()
    except ConfigurationError as error:
        _complain(error.mistakes)
        sys.exit(CONFIGURATION_WRONG)
    except EdgepubError as error:
        _complain([f"edgepub: {error}"])
        sys.exit(1)
    except KeyboardInterrupt:  # before there was a command that takes it for its end
        sys.exit(INTERRUPTED)


def _complain(lines: list[str]) -> None:
    priority = "<3>" if journal.is_stderr() else ""  # sd-daemon(3): errors
    for line in lines:
        print(f"{priority}{line}", file=sys.stderr)


if __name__ == "__main__":
    main()
