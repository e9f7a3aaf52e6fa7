"""How the emulator is started, and how one sees that it is up."""

import os
import urllib.error
import urllib.request
from pathlib import Path

from orderwatch_cli.aws import LOCAL_REGION
from orderwatch_local.errors import PortInUseError, StartFailedError
from orderwatch_local.guarded_emulator import LOOPBACK
from orderwatch_local.processes import clean_environment, tail


def environment_of_emulator(port: int, *, scratch: Path, secret: str) -> dict[str, str]:
    """The environment that the emulator starts with; what it writes lies below `scratch`."""
    # TMPDIR too: the functions' code is unpacked there and goes with the rest.
    temporary = scratch / "tmp"
    temporary.mkdir()
    return clean_environment(
        {
            "GATEWAY_PORT": str(port),
            "AWS_SESSION_TOKEN": secret,
            "MINISTACK_HOST": LOOPBACK,
            "MINISTACK_REGION": LOCAL_REGION,
            "IOT_MTLS_ENABLED": "0",
            "LAMBDA_EXECUTOR": "local",
            "STATE_DIR": str(scratch / "state"),
            "TMPDIR": str(temporary),
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
    )


def answers(url: str, *, secret: str) -> bool:
    """Whether the emulator serves a request with its secret; waits at most 2 seconds."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    opener.addheaders = [("X-Amz-Security-Token", secret)]
    try:
        with opener.open(url, timeout=2) as response:
            return bool(response.status == 200)  # noqa: PLR2004 - HTTP's OK
    except (urllib.error.URLError, OSError):
        return False


def start_error(output: str) -> StartFailedError | PortInUseError:
    """What it means that the emulator ended with this output."""
    if "already in use" in output:
        return PortInUseError(f"another process took the port while the local cloud started:\n{tail(output, lines=3)}")
    return StartFailedError(f"the local cloud ended while it started:\n{tail(output)}")
