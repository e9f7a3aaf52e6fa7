"""The errors of the local cloud, one small branch of `orderwatch.errors`.

LocalCloudError
├── ToolMissingError     a tool of ours is not installed: `make setup`
├── BuildFailedError     `sam build` failed
├── StartFailedError     the emulator did not come up
├── PortInUseError       the port that was asked for is taken
├── DockerMissingError   no Docker daemon answers, or its containers have no way to this machine
├── DeployFailedError    `sam deploy` failed
└── FunctionFailedError  a deployed function failed

Each names the thing and the remedy; print it and leave, there is nothing to retry.
"""

from orderwatch.errors import OrderwatchError


class LocalCloudError(OrderwatchError):
    """The root of this branch: catch this to catch all of the local cloud's."""


class ToolMissingError(LocalCloudError):
    """A tool that `make setup` installs is not there."""


class BuildFailedError(LocalCloudError):
    """`sam build` failed; its last lines are in the message."""


class StartFailedError(LocalCloudError):
    """The emulator ended or stayed silent while it started; its last lines are in the message."""


class PortInUseError(LocalCloudError):
    """Another process listens on the port that was asked for."""


class DockerMissingError(LocalCloudError):
    """No Docker daemon answers, or its containers have no way to this machine; `sam local invoke` needs both."""


class DeployFailedError(LocalCloudError):
    """`sam deploy` failed; its last lines are in the message."""


class FunctionFailedError(LocalCloudError):
    """A deployed function failed; its log's end is in the message."""
