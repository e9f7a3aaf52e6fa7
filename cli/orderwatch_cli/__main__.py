"""Starts the command line, if all that it needs is installed."""

import sys
from importlib import import_module

EXTRA = {"boto3", "botocore", "rich", "typer"}
"""What the extra `cli` brings, by its import names."""


def main() -> None:
    """Run the command line; without its extra it is one line that says how to install that."""
    try:
        command_line = import_module("orderwatch_cli.main")
    except ModuleNotFoundError as error:
        if error.name not in EXTRA:
            raise
        sys.exit(f"orderwatch: the command line needs {error.name}: pip install 'orderwatch[cli]'")
    command_line.main()


if __name__ == "__main__":
    main()
