"""Prints how the containers of `sam local invoke` reach this machine, as one JSON document.

SAM CLI's interpreter runs this file as a program, so that it asks SAM's daemon. It must not import orderwatch.
"""

import json
import sys

import docker  # type: ignore[import-untyped] # in SAM CLI's environment only


def main() -> None:
    """Print the daemon's operating system, and the subnets and gateways of its default network."""
    client = docker.from_env(timeout=10)
    # Docker lists every network whose name contains the word.
    networks = [network for network in client.networks.list(names=["bridge"]) if network.name == "bridge"]
    pools = [pool for network in networks for pool in network.attrs["IPAM"]["Config"] or []]
    found = {"system": client.info().get("OperatingSystem", ""), "pools": pools}
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    try:
        main()
    except docker.errors.DockerException as error:
        sys.exit(f"{type(error).__name__}: {error}")
