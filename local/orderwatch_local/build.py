"""Builds the template with SAM, and only when something that it is made of has changed."""

import fcntl
import hashlib
import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from orderwatch_local.errors import BuildFailedError, ToolMissingError
from orderwatch_local.processes import clean_environment, tail

type Architecture = Literal["arm64", "x86_64"]

PROJECT = Path(__file__).resolve().parents[2]
SAM = PROJECT / ".tools/sam/bin/sam"
# SAM installs the layer with the pip of the first python3.13 on PATH; only this environment of ours has a pip.
_PIP_ENVIRONMENT = PROJECT / ".tools/uv/bin"
_SOURCES = ("template.yaml", "functions", "layers")


def this_architecture() -> Architecture:
    """The processor of this machine, under Lambda's name."""
    return "arm64" if platform.machine().lower() in {"arm64", "aarch64"} else "x86_64"


def build(architecture: Architecture, *, project: Path = PROJECT) -> Path:
    """Build functions and layer for a processor into `.aws-sam/<architecture>/build`.

    A build that is still right is returned at once: it is known by a digest over the template, `functions/` and
    `layers/` without bytecode. Two processes that build at the same time wait for each other.

    Args:
        architecture: The processor that the layer's wheels are for.
        project: The directory that holds `template.yaml`.

    Returns:
        The built template, ready for `sam deploy`.

    Raises:
        ToolMissingError: There is no SAM CLI.
        BuildFailedError: `sam build` failed.
    """
    workspace = project / ".aws-sam" / architecture
    workspace.mkdir(parents=True, exist_ok=True)
    template = workspace / "build" / "template.yaml"
    stamp = workspace / "digest"
    with _locked(workspace / "lock"):
        digest = source_digest(project)
        if not (template.exists() and stamp.exists() and stamp.read_text() == digest):
            stamp.unlink(missing_ok=True)
            _sam_build(architecture, project=project, workspace=workspace)
            stamp.write_text(digest)
    return template


def source_digest(project: Path) -> str:
    """A digest over all that a build is made of; bytecode caches are not."""
    digest = hashlib.sha256()
    for path in _source_files(project):
        digest.update(f"{path.relative_to(project)}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _source_files(project: Path) -> list[Path]:
    roots = [project / name for name in _SOURCES]
    found = [path for root in roots for path in (root.rglob("*") if root.is_dir() else [root])]
    return sorted(path for path in found if path.is_file() and "__pycache__" not in path.parts)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _sam_build(architecture: Architecture, *, project: Path, workspace: Path) -> None:
    require_tool(SAM)
    command = [
        *(str(SAM), "build", "--cached", "--parallel"),
        *("--template-file", str(project / "template.yaml"), "--base-dir", str(project)),
        *("--build-dir", str(workspace / "build"), "--cache-dir", str(workspace / "cache")),
        *("--parameter-overrides", f"Architecture={architecture}"),
    ]
    # SAM keeps the layer's dependencies under its working directory and deletes the ones that this build does not use:
    # in a directory of our own that leaves the user's `sam build` alone.
    done = subprocess.run(  # noqa: S603 - the command is ours
        command, env=sam_environment(workspace), cwd=workspace, text=True, capture_output=True, check=False
    )
    if done.returncode:
        raise BuildFailedError(f"sam build for {architecture} failed:\n{tail(done.stdout + done.stderr)}")


def require_tool(tool: Path) -> None:
    """Check that a tool of ours is installed.

    Raises:
        ToolMissingError: It is not.
    """
    if not tool.exists():
        raise ToolMissingError(f"{tool.name} is not installed in {tool.parent.parent}: run `make setup`")


def sam_environment(scratch: Path, **extra: str) -> dict[str, str]:
    """The environment for a run of SAM: no AWS account, no telemetry, its own files in `scratch`."""
    path = os.pathsep.join([str(_PIP_ENVIRONMENT), os.environ.get("PATH", os.defpath)])
    sam = {"PATH": path, "SAM_CLI_TELEMETRY": "0", "__SAM_CLI_APP_DIR": str(scratch / "sam")}
    return clean_environment({**sam, "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull, **extra})
