"""A built function under the Lambda runtime interface: AWS's own emulator and client, without Docker.

The interpreter sees what it would see on Lambda and nothing else: the function, its layer, and the packages that the
runtime brings (boto3 and the runtime client). The project's environment stays out, so a package that is missing from
the layer is missing here too.
"""

import json
import re
import socket
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Self

from orderwatch_local.cloud.processes import GuardedProcess, clean_environment, tail
from orderwatch_local.cloud.sam import SAM, this_architecture

BROUGHT_BY_THE_RUNTIME = ("awslambdaric", "boto3")
START_SECONDS = 20.0
_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Result:
    """What a handler returned, or the error that it raised (`error` is its type)."""

    payload: Any
    error: str | None = None


class RuntimeInterface:
    """One function, ready to be invoked, for as long as the `with` block lasts.

    Args:
        function: The built function's directory.
        layer: The built layer's directory.
        environment: The function's variables.
        scratch: An empty directory for the log and, unless they are given, the runtime's packages.
        timeout: The function's timeout in seconds.
        packages: The packages that the runtime brings (`link_runtime_packages`).
        handler: Of the function.
    """

    def __init__(
        self,
        *,
        function: Path,
        layer: Path,
        environment: Mapping[str, str],
        scratch: Path,
        timeout: int,
        packages: Path | None = None,
        handler: str = "app.handler",
    ) -> None:
        self._address = f"{_LOOPBACK}:{_free_port()}"
        if packages is None:
            packages = scratch / "runtime"
            link_runtime_packages(packages)
        runtime = {
            "PYTHONPATH": f"{function}:{layer / 'python'}:{packages}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(timeout),
            "AWS_LAMBDA_FUNCTION_NAME": function.name,
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
            "AWS_LAMBDA_LOG_LEVEL": "INFO",
        }
        self._process = GuardedProcess(
            [
                *(str(_emulator()), "--log-level", "error"),
                *("--runtime-interface-emulator-address", self._address),
                *("--runtime-api-address", f"{_LOOPBACK}:{_free_port()}"),
                *(sys.executable, "-S", "-m", "awslambdaric", handler),
            ],
            env=clean_environment({**runtime, **environment}),
            log=scratch / "runtime.log",
            cwd=function,
        )

    def __enter__(self) -> Self:
        deadline = time.monotonic() + START_SECONDS
        while not self._listens():
            if not self._process.is_running or time.monotonic() > deadline:
                self.close()
                raise RuntimeError(f"the runtime interface did not start:\n{tail(self.output())}")
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def invoke(self, event: Any) -> Result:
        """Invoke the handler; an error that it raises is part of the result."""
        request = urllib.request.Request(
            f"http://{self._address}/2015-03-31/functions/function/invocations", data=json.dumps(event).encode()
        )
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as response:
            payload = json.loads(response.read() or b"null")
        # The emulator answers 200 to an error too.
        error = payload.get("errorType") if isinstance(payload, dict) else None
        return Result(payload, error)

    def output(self) -> str:
        """The output of the function."""
        return self._process.output()

    def close(self) -> None:
        """End the function and the emulator."""
        self._process.close()

    def _listens(self) -> bool:
        host, port = self._address.split(":")
        with socket.socket() as probe:
            return probe.connect_ex((host, int(port))) == 0


def link_runtime_packages(directory: Path) -> None:
    """Link the packages that the Lambda runtime brings, and no others, into a directory."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in sorted(_with_requirements(BROUGHT_BY_THE_RUNTIME)):
        package = distribution(name)
        for top in {file.parts[0] for file in package.files or ()} - {"..", "__pycache__"}:
            link = directory / top
            if not link.exists():
                link.symlink_to(str(package.locate_file(top)))


def _with_requirements(names: tuple[str, ...]) -> set[str]:
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(_installed_requirements(name))
    return found


def _installed_requirements(name: str) -> Iterator[str]:
    for requirement in distribution(name).requires or ():
        match = re.match(r"[A-Za-z0-9._-]+", requirement)
        if match and "extra ==" not in requirement and _is_installed(match[0]):
            yield match[0]


def _is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def _emulator() -> Path:
    packages = next((SAM.parents[1] / "lib").glob("python3*/site-packages"))
    return packages / "samcli/local/rapid" / f"aws-lambda-rie-{this_architecture()}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_LOOPBACK, 0))
        return int(probe.getsockname()[1])
