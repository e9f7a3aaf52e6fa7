"""Credentials of a local cloud, in a file that other commands of the same user find by the cloud's port.

A local cloud accepts only requests with its secret as the session token. The file has AWS's format, so that AWS's tools
can read it. Only its user can enter its directory, which is deleted with the cloud.
"""

import configparser
import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
_FILE = "credentials"
_PROFILE = "default"


def make_scratch(port: int) -> Path:
    """Create the directory of the cloud on a port, readable only by its user."""
    return Path(tempfile.mkdtemp(prefix=_prefix(port)))


def write_credentials(scratch: Path, session_token: str) -> Path:
    """Write the credentials of a cloud into its directory, readable only by its user."""
    path = scratch / _FILE
    path.touch(mode=0o600, exist_ok=False)
    values = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "aws_session_token": session_token}
    lines = [f"[{_PROFILE}]", *(f"{name} = {value}" for name, value in values.items())]
    path.write_text("\n".join(lines) + "\n")
    return path


def find_credentials(endpoint_url: str | None) -> Path | None:
    """Return the credentials file of the local cloud at an address; None if this user started none there."""
    address = urlsplit(endpoint_url or "")
    if address.hostname not in LOOPBACK_HOSTS or address.port is None:
        return None
    newest = max(_files_of(address.port), default=None)
    return newest[1] if newest else None


def find_session_token(endpoint_url: str | None) -> str | None:
    """Return the secret of the local cloud at an address; None if this user started none there."""
    path = find_credentials(endpoint_url)
    return _read(path) if path else None


def _prefix(port: int) -> str:
    return f"orderwatch-cloud-{port}-"


def _files_of(port: int) -> Iterator[tuple[int, Path]]:
    """Yield this user's files with their time of change: a crash may have left an older one."""
    for path in Path(tempfile.gettempdir()).glob(f"{_prefix(port)}*/{_FILE}"):
        with contextlib.suppress(OSError):
            status = path.stat()
            if status.st_uid == os.getuid():
                yield status.st_mtime_ns, path


def _read(path: Path) -> str | None:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(path)
    return parser.get(_PROFILE, "aws_session_token", fallback=None)
