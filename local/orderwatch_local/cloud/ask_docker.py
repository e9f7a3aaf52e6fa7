"""Says where the containers of `sam local invoke` meet this machine, as one JSON document.

SAM CLI's interpreter runs this file as a program, so it asks the daemon that SAM asks; it imports nothing of ours.
"""

import json
import sys

import docker  # type: ignore[import-untyped] # of SAM CLI's environment


def main() -> None:
    """Print the daemon's system, and the gateway and subnet of its default network, as far as there are any."""
    client = docker.from_env(timeout=10)
    # Docker lists every network whose name has the word in it.
    networks = [network for network in client.networks.list(names=["bridge"]) if network.name == "bridge"]
    pools = [pool for network in networks for pool in network.attrs["IPAM"]["Config"] or []]
    found = {"system": client.info().get("OperatingSystem", ""), "pools": pools}
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    try:
        main()
    except docker.errors.DockerException as error:
        sys.exit(f"{type(error).__name__}: {error}")
