"""Profiles, files and variables that AWS's SDK cannot use: one line with the remedy, never a traceback or a secret."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from orderwatch_cli import main

ROLE = "role_arn = arn:aws:iam::000000000000:role/x\n"
SSO = "sso_account_id = 000000000000\nsso_role_name = x\n"
SSO_SESSION = "[sso-session s]\nsso_start_url = https://x.invalid/start\nsso_region = eu-west-1\n"
IN_CONFIG = "correct the profile in ~/.aws/config"
SSO_LOGIN = "sign in with: aws sso login"
NOT_VALID = "check the AWS_ variables and ~/.aws/config"
PROFILES = {
    "login": ("login_session = arn:aws:iam::000000000000:user/me", "sign in with: aws login"),
    "sso": (f"sso_session = s\n{SSO}{SSO_SESSION}", SSO_LOGIN),
    "legacy sso": (f"sso_start_url = https://x.invalid/start\nsso_region = eu-west-1\n{SSO}", SSO_LOGIN),
    "no sso session": (f"sso_session = gone\n{SSO}", IN_CONFIG),
    "half an sso session": (f"sso_session = s\nsso_account_id = 1\n{SSO_SESSION}", IN_CONFIG),
    "no source": (f"{ROLE}source_profile = gone", IN_CONFIG),
    "a loop": (f"{ROLE}source_profile = q\n[profile q]\n{ROLE}source_profile = p", IN_CONFIG),
    "strange source": (f"{ROLE}credential_source = Strange", IN_CONFIG),
    "no instance": (f"{ROLE}credential_source = Ec2InstanceMetadata", IN_CONFIG),
    "process fails": ("credential_process = false", IN_CONFIG),
    "process is missing": ("credential_process = /no/such/program", NOT_VALID),
    "process prints text": ("credential_process = echo very-secret", NOT_VALID),
    "process prints a list": ("credential_process = echo []", NOT_VALID),
    "half a key": ("aws_access_key_id = x", "complete the credentials"),
    "no token file": (f"{ROLE}web_identity_token_file = /no/such/file", NOT_VALID),
    "bad region": ("region = eu west 1", "set AWS_REGION to a region such as eu-west-1"),
    "bad endpoint": ("endpoint_url = garbage", NOT_VALID),
    "nothing": ("", "no AWS credentials: set AWS_PROFILE"),
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without settings, in a network without AWS."""
    for name in [name for name in os.environ if name.startswith("AWS_") or name.upper().endswith("_PROXY")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    (tmp_path / ".aws").mkdir()
    return tmp_path


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret")


@pytest.fixture
def dead_port() -> Iterator[int]:
    """A port of this machine that accepts no connection."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture
def failure(capsys: pytest.CaptureFixture[str]) -> "Failure":
    return Failure(capsys)


class Failure:
    """The line of a command that fails."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture

    def __str__(self) -> str:
        with pytest.raises(SystemExit) as left:
            main.run(["shops"])
        out, err = self._capture.readouterr()
        assert (left.value.code, out, err.count("\n")) == (1, "", 1)
        assert "very-secret" not in err
        return err


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_that_cannot_be_used(
    name: str, home: Path, failure: Failure, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, remedy = PROFILES[name]
    (home / ".aws/config").write_text(f"[profile p]\n{text}\n")
    monkeypatch.setenv("AWS_PROFILE", "p")
    if "region" in text:
        monkeypatch.delenv("AWS_REGION")
    assert remedy in str(failure)


def test_a_profile_that_does_not_exist(failure: Failure, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "gone")
    assert "profile (gone) could not be found: check AWS_PROFILE; `aws configure list-profiles` shows" in str(failure)


@pytest.mark.parametrize("name", ["config", "credentials"])
@pytest.mark.parametrize("content", [b"no section", b"\xff\xfe\x00", b"[default\n", b"[default]\n= x"])
def test_a_file_that_cannot_be_parsed(name: str, content: bytes, home: Path, failure: Failure) -> None:
    (home / ".aws" / name).write_bytes(content)
    line = str(failure)
    assert f".aws/{name}: correct the file" in line


@pytest.mark.parametrize("variable", ["AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"])
def test_a_file_that_cannot_be_read_is_named(
    variable: str, home: Path, failure: Failure, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in (home, home / "gone"):
        monkeypatch.setenv(variable, str(path))
        assert f"({path} cannot be read)" in str(failure)


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize(
    ("region", "says"),
    [
        ("", "no AWS region: set AWS_REGION"),
        ("eu west 1", "set AWS_REGION to a region such as eu-west-1"),
        ("eu-west-1/", "set AWS_REGION to a region such as eu-west-1"),
        ("eu-w\u00e9st-1", "set AWS_REGION to a region such as eu-west-1"),
    ],
)
def test_a_region_that_is_missing_or_malformed(
    region: str, says: str, failure: Failure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", region)
    assert says in str(failure)


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize(
    "environment",
    [
        ("AWS_DEFAULT_REGION", "", NOT_VALID),
        ("AWS_ENDPOINT_URL_CLOUDFORMATION", "garbage", NOT_VALID),
        ("HTTPS_PROXY", "socks5://127.0.0.1:{port}", "AWS's SDK supports no SOCKS proxy"),
        ("HTTPS_PROXY", "http://me:very-secret@127.0.0.1:{port}", "set HTTPS_PROXY to an http proxy"),
        ("HTTPS_PROXY", "http://me:very-secret@127.0.0.1:port", "cannot be sent: check HTTPS_PROXY"),
        ("HTTPS_PROXY", "http://[::1", "cannot be sent: check HTTPS_PROXY"),
        (
            "AWS_SESSION_TOKEN",
            "very-secret\nvery-secret",
            "cannot be sent: check HTTPS_PROXY, AWS_CA_BUNDLE and the cred",
        ),
        ("AWS_ENDPOINT_URL", "http://127.0.0.2:{port}", "check the network, AWS_REGION and HTTPS_PROXY"),
        ("AWS_DEFAULTS_MODE", "strange", "invalid defaults mode: strange"),
    ],
)
def test_a_variable_that_cannot_be_used(
    environment: tuple[str, str, str], dead_port: int, failure: Failure, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, value, says = environment
    if name == "AWS_DEFAULT_REGION":
        monkeypatch.delenv("AWS_REGION")
    if name == "AWS_SESSION_TOKEN":
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.2:{dead_port}")
    monkeypatch.setenv(name, value.format(port=dead_port))
    assert says in str(failure)
