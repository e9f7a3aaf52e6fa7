"""How containers reach this machine, by what the Docker daemon reports."""

from ipaddress import ip_address
from pathlib import Path

import pytest

from orderwatch_local.cloud.containers import LOOPBACK, container_network_of, find_container_network, why_no_daemon
from orderwatch_local.errors import DockerMissingError

BRIDGE = [{"Subnet": "fd00:17::/64", "Gateway": "fd00:17::1"}, {"Subnet": "172.17.0.0/16", "Gateway": "172.17.0.1"}]


def test_on_linux_containers_use_the_bridge_of_docker() -> None:
    network = container_network_of("Debian GNU/Linux 12", BRIDGE, platform="linux")
    assert network.address == "172.17.0.1"
    assert ip_address("172.17.0.2") in network.peers
    assert ip_address("192.168.1.20") not in network.peers


@pytest.mark.parametrize(
    ("system", "platform", "reason"),
    [
        ("Docker Desktop", "linux", "its containers run in a virtual machine"),
        ("Docker Desktop", "darwin", "the same"),
        ("Alpine Linux v3.20", "darwin", "another virtual machine that forwards to loopback"),
    ],
)
def test_with_a_virtual_machine_only_loopback_is_used(system: str, platform: str, reason: str) -> None:
    assert container_network_of(system, BRIDGE, platform=platform) == LOOPBACK


def test_the_default_gateway_is_the_first_address() -> None:
    assert (
        container_network_of("Debian GNU/Linux 12", [{"Subnet": "10.9.0.0/24"}], platform="linux").address == "10.9.0.1"
    )


def test_a_daemon_without_a_bridge_is_an_error_with_a_remedy() -> None:
    with pytest.raises(DockerMissingError, match="--bridge=none"):
        container_network_of("Debian GNU/Linux 12", [], platform="linux")


@pytest.mark.parametrize(
    ("environment", "error", "says"),
    [
        (
            {"DOCKER_HOST": "tcp://h:1"},
            "E: refused",
            "no daemon answers at DOCKER_HOST=tcp://h:1; `docker info` shows why",
        ),
        ({"PATH": "/nowhere"}, "E: no file", "it is not installed; install Docker and start its daemon"),
        (
            {"PATH": "."},
            "x\nE: PermissionError(13)",
            "this user may not use its daemon; add the user to the group docker",
        ),
        ({"PATH": "."}, "x\nE: no file", "its daemon does not answer; start it (`docker info` shows why)"),
    ],
)
def test_the_reason_for_a_missing_daemon_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], error: str, says: str
) -> None:
    (tmp_path / "docker").touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    assert why_no_daemon(environment, error) == says


def test_a_missing_daemon_is_an_error_of_one_line() -> None:
    with pytest.raises(DockerMissingError, match="`sam local invoke` needs Docker") as raised:
        find_container_network({"DOCKER_HOST": "tcp://127.0.0.1:1"})
    assert "\n" not in str(raised.value)
