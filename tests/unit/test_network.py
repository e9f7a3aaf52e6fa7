"""Proxies and certificates of the environment: an error names the variable and the remedy, not the value."""

import os
import sys

import httpcore  # noqa: F401 - httpx imports it at first use, which must not be in the test without socksio
import pytest

from orderwatch.errors import SettingsError
from orderwatch.trackstar.client import Trackstar
from orderwatch.trackstar.network import proxy_variables

NO_PROXY_FLAW = "NO_PROXY has an entry that cannot be used: list host names and single addresses"
PROXY_FLAW = "HTTPS_PROXY is not the URL of a proxy: set one such as http://proxy.example.com:3128"


@pytest.fixture(autouse=True)
def _no_network_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().endswith("_PROXY") or name.startswith("SSL"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("NO_PROXY", "localhost,fd00::/8", NO_PROXY_FLAW),
        ("NO_PROXY", "[::1]", NO_PROXY_FLAW),
        ("NO_PROXY", "[::1]:8080", NO_PROXY_FLAW),
        ("NO_PROXY", "localhost:port", NO_PROXY_FLAW),
        ("no_proxy", "2001:db8::/32", NO_PROXY_FLAW.lower()),
        ("HTTPS_PROXY", "http://[::1", PROXY_FLAW),
        ("HTTPS_PROXY", "http://me:very-secret@127.0.0.1:port", PROXY_FLAW),
        ("HTTPS_PROXY", "http://me:very/secret@127.0.0.1", PROXY_FLAW),
        ("HTTPS_PROXY", "ftp://me:very-secret@127.0.0.1", PROXY_FLAW),
        ("HTTPS_PROXY", "://", PROXY_FLAW),
        ("all_proxy", "socks4://127.0.0.1:1080", PROXY_FLAW.replace("HTTPS_PROXY", "all_proxy")),
        ("HTTP_PROXY", "http://pr\x01xy", PROXY_FLAW.replace("HTTPS_", "HTTP_")),
        ("SSL_CERT_FILE", "/no/such/file", "SSL_CERT_FILE cannot be read: correct the path"),
        ("SSL_CERT_FILE", "/", "SSL_CERT_FILE cannot be read"),
        ("SSL_CERT_FILE", __file__, "SSL_CERT_FILE cannot be read"),
        ("SSLKEYLOGFILE", "/no/such/file", "SSLKEYLOGFILE cannot be read"),
    ],
)
def test_a_variable_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        Trackstar("https://trackstar.invalid")
    assert str(caught.value).casefold().startswith(message.casefold())
    assert name in str(caught.value)
    assert "very" not in str(caught.value)


def test_an_invalid_url_of_trackstar_is_named() -> None:
    with pytest.raises(SettingsError, match="TrackstarBaseUrl"):
        Trackstar("https://trackstar.invalid:port")


def test_a_socks_proxy_without_its_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:3128")
    monkeypatch.setenv("ALL_PROXY", "socks5h://me:very-secret@127.0.0.1:1080")
    with pytest.raises(SettingsError, match=r"^ALL_PROXY is a SOCKS proxy.*install the package socksio") as caught:
        Trackstar("https://trackstar.invalid")
    assert "very-secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NO_PROXY", "localhost, 127.0.0.1,::1,.example.com,10.0.0.0/8,*"),
        ("HTTPS_PROXY", "proxy.example.com:3128"),
        ("HTTPS_PROXY", "http://me:pass@[::1]:3128"),
        ("ALL_PROXY", "socks5://127.0.0.1:1080"),
        ("SSL_CERT_FILE", ""),
        ("HTTPS_PROXY", ""),
    ],
)
def test_other_network_settings_are_used(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    Trackstar("https://trackstar.invalid").close()
    assert proxy_variables() == (name if value and name != "NO_PROXY" else "")
