"""The program: commands in, exit codes out."""

import sys

from edgepub import system_libraries
from edgepub.errors import ConfigurationError, EdgepubError

CONFIGURATION_WRONG = 78  # EX_CONFIG of sysexits.h
INTERRUPTED = 130  # as a shell tells of it


def main() -> None:
    """Run the command line; an error that a person can mend is lines on stderr, not a traceback."""
    try:
        system_libraries.require()
        from edgepub import cli  # which imports OpenCV, and would end in a traceback without them

        cli.main()
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        sys.exit(CONFIGURATION_WRONG)
    except EdgepubError as error:
        print(f"edgepub: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:  # before there was a command that takes it for its end
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
