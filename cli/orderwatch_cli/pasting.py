"""Commands that are printed, so that they run as they are pasted: this program's and those of the AWS CLI."""

import os
import shlex
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

NAME = "orderwatch"


def program() -> str:
    """How this program is called from here: its name where the PATH leads to it, else its path."""
    called = Path(sys.argv[0])
    if called.name != NAME:  # run by something else, such as `python -m`
        return NAME
    found = shutil.which(NAME)
    if found and Path(found).absolute() == called.absolute():
        return NAME
    near = os.path.relpath(called)
    return shlex.quote(str(called.absolute()) if near.startswith(os.pardir) else near)


@dataclass(frozen=True)
class Commands:
    """How commands about one stack are written.

    Attributes:
        stack_name: The stack's; empty where it is the one that is looked for anyway.
        endpoint_url: As it was typed; None where nothing was.
        credentials_file: Of a local cloud: no other credentials are served there.
        region: The region of a local cloud.
        program: What this program is called.
    """

    stack_name: str = ""
    endpoint_url: str | None = None
    credentials_file: Path | None = None
    region: str = ""
    program: str = field(default_factory=program)

    def own(self, words: str) -> str:
        """A command of this program, for this stack."""
        stack = f" --stack-name {shlex.quote(self.stack_name)}" if self.stack_name else ""
        endpoint = f" --endpoint-url {shlex.quote(self.endpoint_url)}" if self.endpoint_url else ""
        return f"{self.program} {words}{stack}{endpoint}"

    def aws(self, words: str) -> str:
        """A command of the AWS CLI, version 2, for the cloud that the stack is in."""
        file = self.credentials_file
        credentials = f"AWS_SHARED_CREDENTIALS_FILE={shlex.quote(str(file))} AWS_PROFILE=default " if file else ""
        region = f" --region {self.region}" if self.region else ""
        endpoint = f" --endpoint-url {shlex.quote(self.endpoint_url)}" if self.endpoint_url else ""
        return f"{credentials}aws{region}{endpoint} {words}"
