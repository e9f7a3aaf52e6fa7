"""Child processes that know nothing of the user's AWS account and never outlive this process.

A child runs in its own session, so that Ctrl-C in the terminal reaches only this process, which then ends the others in
order. A watcher (this file, run as a program) holds the reading end of a pipe. When this process closes the pipe, or
dies in any way, the watcher ends the child and all processes that the child started.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

GRACE_SECONDS = 3.0
_KEPT = frozenset(
    {"HOME", "LANG", "PATH", "TERM", "TMPDIR"}
    | {"SSL_CERT_DIR", "SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"}
    | {"ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY"}
)
_KEPT_PREFIXES = ("LC_", "PIP_")


def clean_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return the variables for programs, certificates and proxies of this process's environment, and `extra`.

    Credentials and settings of AWS, Python and SAM are left out. Loopback addresses never use a proxy.
    """
    kept = {name: value for name, value in os.environ.items() if _is_kept(name)}
    past_the_proxy = ",".join(filter(None, [os.environ.get("NO_PROXY") or os.environ.get("no_proxy"), "127.0.0.1"]))
    return {**kept, "NO_PROXY": past_the_proxy, "no_proxy": past_the_proxy, **extra}


def _is_kept(name: str) -> bool:
    return name.upper() in _KEPT or name.startswith(_KEPT_PREFIXES)


def tail(text: str, *, lines: int = 25) -> str:
    """Return the last lines of a text, for an error message."""
    return "\n".join(text.rstrip().splitlines()[-lines:])


class GuardedProcess:
    """A child process that ends when it is closed, or when this process ends for any reason.

    Args:
        command: The program and its arguments.
        env: Its whole environment.
        log: The file for its output.
        cwd: Its working directory.
        scratch: A directory that is deleted when the child has ended.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        log: Path,
        cwd: Path | None = None,
        scratch: Path | None = None,
    ) -> None:
        watcher = [sys.executable, "-I", "-S", __file__, str(scratch or ""), *command]
        with log.open("wb") as output:
            # Opened now, because the watcher may delete the file before the child's last output is read.
            self._output = log.open("rb")
            self._watcher = subprocess.Popen(  # noqa: S603 - the caller's own command
                watcher,
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def group(self) -> int:
        """The process group of the child and of all processes that it starts."""
        return self._watcher.pid

    @property
    def is_running(self) -> bool:
        """Whether the child has not ended."""
        return self._watcher.poll() is None

    def output(self) -> str:
        """Return the output so far; an empty text once this is closed."""
        if self._output.closed:
            return ""
        self._output.seek(0)
        return self._output.read().decode(errors="replace")

    def close(self) -> None:
        """End the child and all processes that it started, and wait for it. Calling it twice is allowed."""
        if self._watcher.stdin is not None and not self._watcher.stdin.closed:
            self._watcher.stdin.close()
        try:
            self._watcher.wait(timeout=2 * GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.group, signal.SIGKILL)
            self._watcher.wait()
        self._output.close()


def _watch(scratch: str, command: Sequence[str]) -> None:
    """Run the command until it ends or the parent closes the pipe, then end the whole process group."""
    # A handler, because the child would inherit SIG_IGN.
    signal.signal(signal.SIGTERM, lambda *_: None)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603 - the command of GuardedProcess
    threading.Thread(target=_end_with_parent, args=(child,), daemon=True).start()
    child.wait()
    os.killpg(0, signal.SIGTERM)
    if scratch:
        shutil.rmtree(scratch, ignore_errors=True)
    os.killpg(0, signal.SIGKILL)


def _end_with_parent(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        os.read(sys.stdin.fileno(), 1)
    child.terminate()
    try:
        child.wait(timeout=GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()


if __name__ == "__main__":
    _watch(sys.argv[1], sys.argv[2:])
