"""What the Lambda runtime hands to a handler."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from orderwatch import clock

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@dataclass
class _Context:
    seconds_left: float = 60.0
    function_name: str = "function"
    memory_limit_in_mb: int = 256
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:123456789012:function:function"
    aws_request_id: str = "request-1"
    began: float = field(default_factory=clock.monotonic)

    def get_remaining_time_in_millis(self) -> int:
        return int((self.seconds_left - (clock.monotonic() - self.began)) * 1000)


def lambda_context(*, seconds_left: float = 60.0) -> "LambdaContext":
    """A context with this much time left, by the process's clock."""
    return cast("LambdaContext", _Context(seconds_left))


def sqs_event(*bodies: str) -> dict[str, Any]:
    """A batch of messages as SQS hands it to a function."""
    return {
        "Records": [
            {
                "messageId": f"message-{number}",
                "receiptHandle": f"receipt-{number}",
                "body": body,
                "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1767614400000"},
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:queue",
                "awsRegion": "us-east-1",
            }
            for number, body in enumerate(bodies)
        ]
    }
