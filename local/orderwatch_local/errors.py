"""The errors of the local cloud, a branch of `orderwatch.errors`.

LocalCloudError
├── ToolMissingError     a tool is not installed: run `make setup`
├── BuildFailedError     `sam build` failed
├── StartFailedError     the emulator did not start
├── PortInUseError       the requested port is in use
├── DockerMissingError   no Docker daemon answers, or its containers cannot reach this machine
├── DeployFailedError    `sam deploy` failed
└── FunctionFailedError  a deployed function failed

Each message names the problem and the remedy. Print it and exit; a retry does not help.
"""

from orderwatch.errors import OrderwatchError


class LocalCloudError(OrderwatchError):
    """The base class of all errors of the local cloud."""


class ToolMissingError(LocalCloudError):
    """A tool that `make setup` installs is missing."""


class BuildFailedError(LocalCloudError):
    """`sam build` failed; the end of its output is in the message."""


class StartFailedError(LocalCloudError):
    """The emulator ended, or did not answer in time; the end of its output is in the message."""


class PortInUseError(LocalCloudError):
    """Another process listens on the requested port."""


class DockerMissingError(LocalCloudError):
    """No Docker daemon answers, or its containers cannot reach this machine; `sam local invoke` needs both."""


class DeployFailedError(LocalCloudError):
    """`sam deploy` failed; the end of its output is in the message."""


class FunctionFailedError(LocalCloudError):
    """A deployed function failed; the end of its log is in the message."""
