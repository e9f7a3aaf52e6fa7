"""The HTTP client, with the proxies and certificates that the environment names (`HTTPS_PROXY`, `SSL_CERT_FILE`, ...).

httpx reads these variables in its constructor. Its errors have many types and do not name the variable.
"""

import os
from collections.abc import Iterable
from typing import Any

import httpx

from orderwatch.errors import SettingsError

_PROXIES = frozenset({"HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"})
_EXCEPTIONS = frozenset({"NO_PROXY"})
_CERTIFICATES = frozenset({"SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"})


def new_client(**options: Any) -> httpx.Client:
    """Create an HTTP client.

    Args:
        **options: The arguments of `httpx.Client`.

    Raises:
        SettingsError: A variable of the environment cannot be used. The text names it without its value, which can have
            a password.
    """
    try:
        return httpx.Client(**options)
    except OSError:
        names = _joined(_set_variables(_CERTIFICATES)) or "the certificates of httpx"
        raise SettingsError(f"{names} cannot be read: correct the path of the file, or unset the variable") from None
    except ImportError:
        names = _joined(name for name in _set_variables(_PROXIES) if os.environ[name].lower().startswith("socks"))
        remedy = "set the URL of an http proxy, or install the package socksio"
        raise SettingsError(f"{names} is a SOCKS proxy, which is not supported here: {remedy}") from None
    except (ValueError, httpx.InvalidURL):
        raise SettingsError(_url_flaw()) from None


def proxy_variables() -> str:
    """The names of the variables that set a proxy, for messages about failed connections; empty if there is none."""
    return _joined(_set_variables(_PROXIES))


def _set_variables(names: frozenset[str]) -> list[str]:
    return sorted(name for name, value in os.environ.items() if name.upper() in names and value)


def _joined(names: Iterable[str]) -> str:
    return ", ".join(names)


def _url_flaw() -> str:
    if flawed := _joined(name for name in _set_variables(_PROXIES) if not _is_proxy(os.environ[name])):
        return f"{flawed} is not the URL of a proxy: set one such as http://proxy.example.com:3128, or unset it"
    if exceptions := _joined(_set_variables(_EXCEPTIONS)):
        entries = "host names and single addresses such as ::1, without brackets and networks"
        return f"{exceptions} has an entry that cannot be used: list {entries}"
    return "Trackstar's URL is not valid: correct TrackstarBaseUrl"


def _is_proxy(value: str) -> bool:
    try:
        httpx.Proxy(value if "://" in value else f"http://{value}")
    except (ValueError, httpx.InvalidURL):
        return False
    return True
