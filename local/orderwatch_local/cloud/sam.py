"""Builds and deploys the template with SAM. A build is reused until one of its sources changes."""

import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import yaml

from orderwatch_cli.aws import LOCAL_REGION
from orderwatch_local.cloud.processes import clean_environment, tail
from orderwatch_local.errors import BuildFailedError, DeployFailedError, ToolMissingError

type Architecture = Literal["arm64", "x86_64"]

PROJECT = Path(__file__).resolve().parents[3]
SAM = PROJECT / ".tools/sam/bin/sam"
# SAM installs the layer with the pip of the first python3.13 on PATH; no other environment here has a pip.
_PIP_ENVIRONMENT = PROJECT / ".tools/uv/bin"
_SOURCES = ("template.yaml", "functions", "layers")
_LAYER = "OrderwatchLayer"


def this_architecture() -> Architecture:
    """This machine's processor, by Lambda's name."""
    return "arm64" if platform.machine().lower() in {"arm64", "aarch64"} else "x86_64"


def build(architecture: Architecture, *, project: Path = PROJECT) -> Path:
    """Build functions and layer for a processor into `.aws-sam/<architecture>/build`, and an archive of the layer.

    An existing build is reused while the digest over the template, `functions/` and `layers/` (without bytecode) is the
    same. A lock keeps two processes from building at the same time.

    Args:
        architecture: The processor that the layer's wheels are for.
        project: The directory that holds `template.yaml`.

    Returns:
        The built template, ready for `sam deploy`.

    Raises:
        ToolMissingError: SAM CLI is not installed.
        BuildFailedError: `sam build` failed.
    """
    workspace = project / ".aws-sam" / architecture
    workspace.mkdir(parents=True, exist_ok=True)
    template = workspace / "build" / "template.yaml"
    archive = template.with_name(f"{_LAYER}.zip")
    stamp = workspace / "digest"
    with _locked(workspace / "lock"):
        digest = source_digest(project)
        if not (archive.exists() and stamp.exists() and stamp.read_text() == digest):
            stamp.unlink(missing_ok=True)
            _sam_build(architecture, project=project, workspace=workspace)
            shutil.make_archive(str(archive.with_suffix("")), "zip", template.with_name(_LAYER))
            stamp.write_text(digest)
    return template


def source_digest(project: Path) -> str:
    """Return a digest over all sources of a build, without bytecode caches."""
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
    # SAM caches the layer's dependencies below its working directory and deletes those that a build does not use. A
    # separate directory keeps those of the user's own `sam build`.
    done = subprocess.run(  # noqa: S603 - the command is built here
        command, env=sam_environment(workspace), cwd=workspace, text=True, capture_output=True, check=False
    )
    if done.returncode:
        raise BuildFailedError(f"sam build for {architecture} failed:\n{tail(done.stdout + done.stderr)}")


def require_tool(tool: Path) -> None:
    """Check that a tool is installed.

    Raises:
        ToolMissingError: It is not installed.
    """
    if not tool.exists():
        raise ToolMissingError(f"{tool.name} is not installed in {tool.parent.parent}: run `make setup`")


def sam_environment(scratch: Path, **extra: str) -> dict[str, str]:
    """The environment for SAM without an AWS account and telemetry; SAM keeps its own files in `scratch`."""
    path = os.pathsep.join([str(_PIP_ENVIRONMENT), os.environ.get("PATH", os.defpath)])
    sam = {"PATH": path, "SAM_CLI_TELEMETRY": "0", "__SAM_CLI_APP_DIR": str(scratch / "sam")}
    return clean_environment({**sam, "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull, **extra})


def template_for_emulator(template: Path) -> Path:
    """Write a copy of the built template without what the emulator refuses: alarms on metric expressions.

    The copy names the archive of the layer, because `sam deploy` takes seconds to compress 2,400 files.

    Args:
        template: As `build` returned it.

    Returns:
        The copy, in the same folder, because the template's paths are relative.
    """
    document: dict[str, Any] = yaml.load(template.read_text(), Loader=yaml.CSafeLoader)
    resources = {name: each for name, each in document["Resources"].items() if not _is_expression_alarm(each)}
    resources[_LAYER]["Properties"]["ContentUri"] = f"{_LAYER}.zip"
    copy = template.with_name("emulator.yaml")
    # Two processes may deploy the same build at the same time.
    partial = template.with_name(f"emulator-{os.getpid()}.yaml")
    partial.write_text(yaml.dump({**document, "Resources": resources}, Dumper=yaml.CSafeDumper, sort_keys=False))
    return partial.replace(copy)


def _is_expression_alarm(resource: dict[str, Any]) -> bool:
    return resource["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" in resource["Properties"]


def sam_deploy(
    template: Path,
    *,
    stack_name: str,
    bucket: str,
    region: str,
    parameters: Mapping[str, str],
    environment: Mapping[str, str],
) -> None:
    """Deploy a template as a new stack, or update the stack.

    Args:
        template: As `sam build` wrote it.
        stack_name: The name of the stack.
        bucket: An existing bucket for the code.
        region: The region.
        parameters: Values of the template's parameters; the others keep their defaults.
        environment: SAM's whole environment, which names the account.

    Raises:
        ToolMissingError: SAM CLI is not installed.
        DeployFailedError: `sam deploy` failed.
    """
    require_tool(SAM)
    # In a file, because other users of the machine see a command line. SAM reads only YAML, which JSON is.
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as values:
        json.dump(dict(parameters), values)
        values.flush()
        command = [
            *(str(SAM), "deploy", "--template-file", str(template), "--stack-name", stack_name),
            *("--s3-bucket", bucket, "--capabilities", "CAPABILITY_IAM", "--region", region),
            *("--no-confirm-changeset", "--no-fail-on-empty-changeset", "--no-progressbar"),
            *("--parameter-overrides", f"file://{values.name}"),
        ]
        done = subprocess.run(  # noqa: S603 - the command is built here
            # Not the user's directory: SAM reads samconfig.toml from its working directory.
            command,
            env=dict(environment),
            cwd=template.parent,
            text=True,
            capture_output=True,
            check=False,
        )
    if done.returncode:
        raise DeployFailedError(f"sam deploy failed: {_reason(done.stdout + done.stderr)}")


def local_environment(endpoint_url: str, secret: str) -> dict[str, str]:
    """Environment variables that point a process's AWS SDK to a local cloud only."""
    return {
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_SESSION_TOKEN": secret,
        "AWS_REGION": LOCAL_REGION,
        "AWS_DEFAULT_REGION": LOCAL_REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def local_sam_environment(scratch: Path, cloud: Mapping[str, str]) -> dict[str, str]:
    """The environment for `sam deploy` to the local cloud that these variables name."""
    # By default, SAM sleeps 5 s between two checks of the stack.
    return sam_environment(scratch, SAM_CLI_POLL_DELAY="0.1", **cloud)


def _reason(output: str) -> str:
    """SAM's error message, or the last lines of its output."""
    sentences = [line for line in output.splitlines() if line.startswith("Error: ")]
    return sentences[-1].removeprefix("Error: ") if sentences else f"\n{tail(output)}"
