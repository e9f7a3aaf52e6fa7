"""Deploys a built template with SAM, to the local cloud or to an account."""

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from orderwatch_cli.aws import LOCAL_REGION
from orderwatch_local.build import SAM, require_tool, sam_environment
from orderwatch_local.errors import DeployFailedError
from orderwatch_local.processes import tail


def sam_deploy(
    template: Path,
    *,
    stack_name: str,
    bucket: str,
    region: str,
    parameters: Mapping[str, str],
    environment: Mapping[str, str],
) -> None:
    """Deploy a template, or update what is deployed.

    Args:
        template: As `sam build` wrote it.
        stack_name: What the stack is called.
        bucket: Takes the code; it must be there.
        region: Where to.
        parameters: Values of the template's parameters; the others keep their defaults.
        environment: SAM's whole environment; it names the account.

    Raises:
        ToolMissingError: There is no SAM CLI.
        DeployFailedError: `sam deploy` failed.
    """
    require_tool(SAM)
    # By a file: other users of the machine see a command line. JSON is YAML too, and SAM reads only that.
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as values:
        json.dump(dict(parameters), values)
        values.flush()
        command = [
            *(str(SAM), "deploy", "--template-file", str(template), "--stack-name", stack_name),
            *("--s3-bucket", bucket, "--capabilities", "CAPABILITY_IAM", "--region", region),
            *("--no-confirm-changeset", "--no-fail-on-empty-changeset", "--no-progressbar"),
            *("--parameter-overrides", f"file://{values.name}"),
        ]
        done = subprocess.run(  # noqa: S603 - the command is ours
            # Not where the user is: SAM reads the samconfig.toml of its working directory.
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
    """Variables that point a process's AWS SDK at a local cloud and at nothing else."""
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
    """The environment for `sam deploy` to a local cloud, which has these variables."""
    # Between looks at the stack SAM would sleep 5 s.
    return sam_environment(scratch, SAM_CLI_POLL_DELAY="0.1", **cloud)


def _reason(output: str) -> str:
    """SAM's own sentence about what went wrong, else the last lines of what it wrote."""
    sentences = [line for line in output.splitlines() if line.startswith("Error: ")]
    return sentences[-1].removeprefix("Error: ") if sentences else f"\n{tail(output)}"
