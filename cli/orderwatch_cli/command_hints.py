"""Commands in messages, written so that they run when they are pasted: our own and those of the AWS CLI."""

import os
import shlex
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

NAME = "orderwatch"


def program() -> str:
    """Return how to call this program from here: its name if the PATH finds it, otherwise its path."""
    called = Path(sys.argv[0])
    if called.name != NAME:  # started by something else, such as `python -m`
        return NAME
    found = shutil.which(NAME)
    if found and Path(found).absolute() == called.absolute():
        return NAME
    relative = os.path.relpath(called)
    return shlex.quote(str(called.absolute()) if relative.startswith(os.pardir) else relative)


@dataclass(frozen=True)
class Commands:
    """Builds commands for one stack.

    Attributes:
        stack_name: Name of the stack; empty if it is the default one.
        endpoint_url: The endpoint as it was typed; None: none was typed.
        credentials_file: Credentials of a local cloud, which refuses all others.
        region: Region of a local cloud.
        program: How to call this program.
    """

    stack_name: str = ""
    endpoint_url: str | None = None
    credentials_file: Path | None = None
    region: str = ""
    program: str = field(default_factory=program)

    def own(self, arguments: str) -> str:
        """Return a command of this program."""
        stack = f" --stack-name {shlex.quote(self.stack_name)}" if self.stack_name else ""
        return f"{self.program} {arguments}{stack}{self._endpoint}"

    def aws(self, arguments: str) -> str:
        """Return a command of the AWS CLI, version 2."""
        file = self.credentials_file
        credentials = f"AWS_SHARED_CREDENTIALS_FILE={shlex.quote(str(file))} AWS_PROFILE=default " if file else ""
        region = f" --region {self.region}" if self.region else ""
        return f"{credentials}aws{region}{self._endpoint} {arguments}"

    @property
    def _endpoint(self) -> str:
        return f" --endpoint-url {shlex.quote(self.endpoint_url)}" if self.endpoint_url else ""
