"""Says where the containers of `sam local invoke` meet this machine, as one JSON document.

SAM CLI's interpreter runs this file as a program, so it asks the daemon that SAM asks; it imports nothing of ours.
"""

import json
import sys

import docker  # type: ignore[import-untyped] # of SAM CLI's environment


def main() -> None:
    """Print the daemon's name, and the gateway and subnet of its default network."""
    client = docker.from_env(timeout=10)
    [network] = client.networks.list(names=["bridge"], filters={"driver": "bridge"}) or [None]
    pools = (network.attrs["IPAM"]["Config"] or [{}]) if network else [{}]
    found = {"system": client.info().get("OperatingSystem", ""), "network": pools[0]}
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    try:
        main()
    except docker.errors.DockerException as error:
        sys.exit(f"{type(error).__name__}: {error}")
