"""Where containers come in, by what their daemon says of itself."""

from ipaddress import ip_address

import pytest

from orderwatch_local.cloud.containers import LOOPBACK, find_doorway, read_doorway
from orderwatch_local.errors import DockerMissingError

BRIDGE = [{"Subnet": "fd00:17::/64", "Gateway": "fd00:17::1"}, {"Subnet": "172.17.0.0/16", "Gateway": "172.17.0.1"}]


def test_on_linux_they_come_in_at_the_address_of_dockers_bridge_and_from_its_subnet_alone() -> None:
    doorway = read_doorway("Debian GNU/Linux 12", BRIDGE, platform="linux")
    assert doorway.address == "172.17.0.1"
    assert ip_address("172.17.0.2") in doorway.peers
    assert ip_address("192.168.1.20") not in doorway.peers


@pytest.mark.parametrize(
    ("system", "platform", "reason"),
    [
        ("Docker Desktop", "linux", "its containers live in a virtual machine"),
        ("Docker Desktop", "darwin", "the same"),
        ("Alpine Linux v3.20", "darwin", "another virtual machine that hands on to loopback"),
    ],
)
def test_where_docker_has_a_virtual_machine_nothing_but_loopback_is_opened(
    system: str, platform: str, reason: str
) -> None:
    assert read_doorway(system, BRIDGE, platform=platform) == LOOPBACK


def test_the_gateway_of_a_subnet_is_its_first_address_where_the_daemon_names_none() -> None:
    assert read_doorway("Debian GNU/Linux 12", [{"Subnet": "10.9.0.0/24"}], platform="linux").address == "10.9.0.1"


def test_a_daemon_without_a_bridge_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(DockerMissingError, match="--bridge=none"):
        read_doorway("Debian GNU/Linux 12", [], platform="linux")


def test_a_daemon_that_does_not_answer_is_one_line_that_says_who_needs_it() -> None:
    with pytest.raises(DockerMissingError, match="`sam local invoke` needs Docker") as raised:
        find_doorway({"DOCKER_HOST": "tcp://127.0.0.1:1"})
    assert "\n" not in str(raised.value)
