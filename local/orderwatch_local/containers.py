"""Where the containers of `sam local invoke` reach this machine, and from which addresses they come."""

import ipaddress
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orderwatch_local.build import SAM, require_tool
from orderwatch_local.errors import DockerMissingError
from orderwatch_local.processes import clean_environment, tail

HOST = "orderwatch.localhost"
"""What containers call this machine: samconfig.toml has its line in their hosts file."""
_ASK = Path(__file__).with_name("ask_docker.py")
_DOCKERS_SETTINGS = ("DOCKER_HOST", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY")


@dataclass(frozen=True)
class SimulatedShopUrl:
    """Where to listen so that containers can come in and nobody else.

    Attributes:
        address: An address of this machine.
        peers: Whoever comes from another address than these is no container.
    """

    address: str
    peers: ipaddress.IPv4Network


LOOPBACK = SimulatedShopUrl("127.0.0.1", ipaddress.IPv4Network("127.0.0.0/8"))
"""Docker Desktop's: it hands on what its containers send to the host, as if it came from this machine."""


def find_doorway(environment: Mapping[str, str]) -> SimulatedShopUrl:
    """Ask Docker for the way from its containers to this machine.

    Args:
        environment: Ours, which says where the daemon is.

    Raises:
        ToolMissingError: There is no SAM CLI.
        DockerMissingError: No daemon answers, or its network is not one of this machine.
    """
    require_tool(SAM)
    settings = {name: environment[name] for name in _DOCKERS_SETTINGS if name in environment}
    asked = subprocess.run(  # noqa: S603 - the command is ours
        [SAM.with_name("python"), "-I", _ASK],
        env=clean_environment(settings),
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode:
        raise DockerMissingError(
            f"`sam local invoke` needs Docker, and no daemon answers: {tail(asked.stderr, lines=1)}"
        )
    found = json.loads(asked.stdout)
    return read_doorway(found["system"], found["pools"], platform=sys.platform)


def read_doorway(system: str, pools: Sequence[Mapping[str, str]], *, platform: str) -> SimulatedShopUrl:
    """The doorway of what a daemon says of itself.

    Args:
        system: What it runs on.
        pools: Subnet, and mostly gateway, of its default network; it may have one of IPv6 too.
        platform: This machine's, as `sys.platform` has it.

    Raises:
        DockerMissingError: The daemon has no default network of IPv4.
    """
    # Everywhere but on Linux containers live in a virtual machine, as they do with Docker Desktop.
    if platform != "linux" or system == "Docker Desktop":
        return LOOPBACK
    for pool in pools:
        subnet = ipaddress.ip_network(pool["Subnet"])
        if isinstance(subnet, ipaddress.IPv4Network):
            return SimulatedShopUrl(pool.get("Gateway") or str(subnet[1]), subnet)
    raise DockerMissingError("Docker has no network `bridge`: start its daemon without --bridge=none")
