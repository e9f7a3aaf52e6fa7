"""Starts the command line if its dependencies are installed."""

import signal
import sys
from importlib import import_module

EXTRA = {"boto3", "botocore", "rich", "typer"}
"""Import names of the packages that the extra `cli` installs."""


def main() -> None:
    """Run the command line; without the extra `cli`, print how to install it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during the imports causes no traceback
    try:
        command_line = import_module("orderwatch_cli.main")
    except ModuleNotFoundError as error:
        if error.name not in EXTRA:
            raise
        sys.exit(f"orderwatch: the command line needs {error.name}: pip install 'orderwatch[cli]'")
    command_line.main()


if __name__ == "__main__":
    main()
