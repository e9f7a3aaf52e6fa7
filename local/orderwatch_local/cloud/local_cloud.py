"""The local cloud: AWS services emulated on a loopback port, with the real template deployed on them.

It needs no AWS account and no Docker: ministack runs the functions, queues, streams and schedules as local processes.
"""

import json
import os
import secrets
import shutil
import socket
import time
import uuid
from collections.abc import Mapping
from contextlib import closing
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, overload
from urllib.parse import urlsplit

from botocore.config import Config

from orderwatch_cli.aws import LOCAL_REGION, isolated_session
from orderwatch_cli.local_credentials import make_scratch, write_credentials
from orderwatch_cli.stack import STACK_NAME, Outputs
from orderwatch_local.cloud.guard import LOOPBACK
from orderwatch_local.cloud.processes import GuardedProcess, clean_environment, tail
from orderwatch_local.cloud.sam import (
    PROJECT,
    Architecture,
    build,
    local_environment,
    local_sam_environment,
    require_tool,
    sam_deploy,
    template_for_emulator,
    this_architecture,
)
from orderwatch_local.errors import PortInUseError, StartFailedError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodbstreams import DynamoDBStreamsClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_scheduler import EventBridgeSchedulerClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient

START_SECONDS = 30.0
_EMULATOR = PROJECT / ".tools/cloud/bin/python"
_GUARD = Path(__file__).with_name("guard.py")
_ATTEMPTS_AT_A_PORT = 3
_BUCKET = "orderwatch-artifacts"


class LocalCloud:
    """An emulated AWS until the `with` block ends; nothing of it outlives this process.

    It serves only requests with the secret of this run: those of its clients and functions, and of processes that get
    its `environment` or read its `credentials_file`.

    Args:
        architecture: The processor that the functions are built for; they run only if it is this machine's.
        port: The loopback port to listen on; 0 takes a free one.
        project: The directory that holds `template.yaml`.
    """

    def __init__(self, *, architecture: Architecture | None = None, port: int = 0, project: Path = PROJECT) -> None:
        self._architecture = architecture or this_architecture()
        self._wanted_port = port
        self._project = project
        self._scratch = Path()
        self._process: GuardedProcess | None = None
        self._secret = secrets.token_urlsafe(32)
        self._session = isolated_session(self._secret)
        self.endpoint = ""
        self.credentials_file = Path()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the emulator and wait until it answers.

        Raises:
            ToolMissingError: The emulator is not installed.
            PortInUseError: The requested port is in use.
            StartFailedError: It ended or did not answer within 30 seconds.
        """
        require_tool(_EMULATOR)
        for attempt in range(1, _ATTEMPTS_AT_A_PORT + 1):
            try:
                self._start_on(self._wanted_port or _free_port())
            except PortInUseError:
                # Another process took the free port before the emulator did.
                if self._wanted_port or attempt == _ATTEMPTS_AT_A_PORT:
                    raise
            else:
                return

    def close(self) -> None:
        """Stop the emulator and its functions and delete their files. Calling it twice is allowed."""
        if self._process is not None:
            self._process.close()
            self._process = None
            shutil.rmtree(self._scratch, ignore_errors=True)

    def deploy(self, parameters: Mapping[str, str] | None = None) -> Outputs:
        """Build the template where needed and deploy it, or update what is deployed, with SAM.

        Args:
            parameters: Values of the template's parameters; the others keep their defaults.

        Raises:
            BuildFailedError: `sam build` failed.
            DeployFailedError: `sam deploy` failed.
        """
        template = template_for_emulator(build(self._architecture, project=self._project))
        self._ensure_bucket()
        sam_deploy(
            template,
            stack_name=STACK_NAME,
            bucket=_BUCKET,
            region=LOCAL_REGION,
            parameters={**(parameters or {}), "Architecture": self._architecture},
            environment=local_sam_environment(self._scratch, self.environment()),
        )
        return self.outputs()

    def outputs(self) -> Outputs:
        """The outputs of the deployed stack."""
        stack = self.client("cloudformation").describe_stacks(StackName=STACK_NAME)["Stacks"][0]
        return Outputs.model_validate({each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]})

    def put_secret(self, name: str, value: str) -> None:
        """Store a SecureString, as `aws ssm put-parameter` would."""
        self.client("ssm").put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)

    def subscribe_queue(self, *topic_arns: str, filter_policy: Mapping[str, Any] | None = None) -> str:
        """Make an inbox: a queue that gets what topics publish, raw.

        Args:
            topic_arns: The topics.
            filter_policy: Which messages; all when there is none.

        Returns:
            The queue's URL.
        """
        sqs = self.client("sqs")
        url = sqs.create_queue(QueueName=f"inbox-{uuid.uuid4().hex}")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        attributes = {"RawMessageDelivery": "true"}
        if filter_policy is not None:
            attributes["FilterPolicy"] = json.dumps(filter_policy)
        for topic_arn in topic_arns:
            self.client("sns").subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=arn, Attributes=attributes)
        return url

    def function_environment(self, function_name: str) -> dict[str, str]:
        """The environment that a deployed function runs with."""
        configuration = self.client("lambda").get_function_configuration(FunctionName=function_name)
        return dict(configuration.get("Environment", {}).get("Variables", {}))

    def log_group(self, function_name: str) -> str:
        """Where a deployed function logs."""
        configuration = self.client("lambda").get_function_configuration(FunctionName=function_name)
        return str(configuration.get("LoggingConfig", {}).get("LogGroup", f"/aws/lambda/{function_name}"))

    def logs(self, function_name: str, *, lines: int = 50) -> str:
        """Return the last lines of a function's log, for an error message."""
        group = self.log_group(function_name)
        pages = self.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
        events = sorted((event for page in pages for event in page["events"]), key=lambda event: event["timestamp"])
        return tail("\n".join(event["message"].rstrip() for event in events), lines=lines)

    def emulator_log(self, *, lines: int = 50) -> str:
        """Return the last lines of the emulator's own output."""
        return tail(self._process.output(), lines=lines) if self._process else ""

    @overload
    def client(self, service: Literal["cloudformation"]) -> "CloudFormationClient": ...
    @overload
    def client(self, service: Literal["dynamodb"]) -> "DynamoDBClient": ...
    @overload
    def client(self, service: Literal["dynamodbstreams"]) -> "DynamoDBStreamsClient": ...
    @overload
    def client(self, service: Literal["lambda"]) -> "LambdaClient": ...
    @overload
    def client(self, service: Literal["logs"]) -> "CloudWatchLogsClient": ...
    @overload
    def client(self, service: Literal["s3"]) -> "S3Client": ...
    @overload
    def client(self, service: Literal["scheduler"]) -> "EventBridgeSchedulerClient": ...
    @overload
    def client(self, service: Literal["sns"]) -> "SNSClient": ...
    @overload
    def client(self, service: Literal["sqs"]) -> "SQSClient": ...
    @overload
    def client(self, service: Literal["ssm"]) -> "SSMClient": ...
    def client(self, service: Any) -> Any:
        """Return a boto3 client of this cloud, independent of the user's AWS settings. Reuse one for each service."""
        config = Config(proxies={}, retries={"mode": "standard", "max_attempts": 2}, read_timeout=60)
        return self._session.client(service, endpoint_url=self.endpoint, config=config)

    def environment(self) -> dict[str, str]:
        """Environment variables that point another process's AWS SDK to this cloud only."""
        return local_environment(self.endpoint, self._secret)

    def _start_on(self, port: int) -> None:
        if _is_taken(port):
            raise PortInUseError(
                f"port {port} of {LOOPBACK} is in use: stop the process that listens there, or choose another port"
            )
        self._scratch = make_scratch(port)
        self.credentials_file = write_credentials(self._scratch, self._secret)
        self.endpoint = f"http://{LOOPBACK}:{port}"
        self._process = GuardedProcess(
            [str(_EMULATOR), "-I", str(_GUARD)],
            env=_emulator_environment(port, scratch=self._scratch, secret=self._secret),
            log=self._scratch / "emulator.log",
            cwd=self._scratch,
            scratch=self._scratch,
        )
        try:
            self._await_ready(self._process)
        except BaseException:
            self.close()
            raise

    def _await_ready(self, process: GuardedProcess) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not _is_ready(self.endpoint, secret=self._secret):
            if not process.is_running:
                raise _start_error(process.output())
            if time.monotonic() > deadline:
                raise StartFailedError(
                    f"the local cloud did not answer within {START_SECONDS:.0f} s:\n{tail(process.output())}"
                )
            time.sleep(0.02)

    def _ensure_bucket(self) -> None:
        # Otherwise SAM deploys a stack of its own for a bucket, which takes longer than the deployment.
        self.client("s3").create_bucket(Bucket=_BUCKET)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


def _emulator_environment(port: int, *, scratch: Path, secret: str) -> dict[str, str]:
    """The environment of the emulator, which writes only below `scratch`."""
    # The functions' code is unpacked in TMPDIR, and deleted with `scratch`.
    temporary = scratch / "tmp"
    temporary.mkdir()
    return clean_environment(
        {
            "GATEWAY_PORT": str(port),
            "AWS_SESSION_TOKEN": secret,
            "MINISTACK_HOST": LOOPBACK,
            "MINISTACK_REGION": LOCAL_REGION,
            "IOT_MTLS_ENABLED": "0",
            "LAMBDA_EXECUTOR": "local",
            "STATE_DIR": str(scratch / "state"),
            "TMPDIR": str(temporary),
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
    )


def _is_ready(endpoint: str, *, secret: str) -> bool:
    """Whether the emulator serves a request with its secret within 2 seconds."""
    with closing(HTTPConnection(urlsplit(endpoint).netloc, timeout=2)) as connection:
        try:
            connection.request("GET", "/_ministack/ready", headers={"X-Amz-Security-Token": secret})
            return connection.getresponse().status == HTTPStatus.OK
        except (HTTPException, OSError):
            return False


def _start_error(output: str) -> StartFailedError | PortInUseError:
    """The error for an emulator that ended with this output."""
    if "already in use" in output:
        return PortInUseError(f"another process took the port while the local cloud started:\n{tail(output, lines=3)}")
    return StartFailedError(f"the local cloud ended while it started:\n{tail(output)}")
