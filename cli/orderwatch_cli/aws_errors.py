"""Errors of AWS and of its SDK, explained in one line with a remedy."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore import exceptions as sdk

from orderwatch.errors import OrderwatchError
from orderwatch_cli.local_credentials import LOOPBACK_HOSTS


class AwsSettingsError(OrderwatchError):
    """The SDK cannot use the profile or the variables of the environment."""

    def __init__(self, error: Exception) -> None:
        super().__init__(f"the AWS settings are not valid ({error}): check the AWS_ variables and ~/.aws/config")


AWS_ERRORS = (sdk.BotoCoreError, sdk.ClientError, GetParameterError, AwsSettingsError)
"""The errors that AWS or its SDK raises."""
_PROFILE = "correct the profile in ~/.aws/config"
_NETWORK = "check the network, AWS_REGION and HTTPS_PROXY"
_CREDENTIALS = "renew your credentials, select others with AWS_PROFILE, or correct the clock of this machine"
_HTTP_PROXY = (
    "set HTTPS_PROXY to an http proxy such as http://proxy.example.com:3128; AWS's SDK supports no SOCKS proxy"
)
_REMEDIES: dict[type[Exception], str] = {
    sdk.NoCredentialsError: "set AWS_PROFILE, or AWS_ENDPOINT_URL for a local cloud",
    sdk.NoRegionError: "set AWS_REGION or the region of your profile",
    sdk.ProfileNotFound: "check AWS_PROFILE; `aws configure list-profiles` shows your profiles",
    sdk.ConfigParseError: "correct the file",
    sdk.InvalidConfigError: _PROFILE,
    sdk.PartialCredentialsError: "complete the credentials",
    sdk.CredentialRetrievalError: f"renew your credentials, or {_PROFILE}",
    sdk.InvalidRegionError: "set AWS_REGION to a region such as eu-west-1",
    sdk.MissingDependencyException: "install the command line again: pip install 'orderwatch[cli]'",
    sdk.SSOError: "sign in with: aws sso login",
    sdk.TokenRetrievalError: "sign in with: aws sso login",
    sdk.LoginError: "sign in with: aws login",
    sdk.ProxyConnectionError: _HTTP_PROXY,
    sdk.SSLError: "set AWS_CA_BUNDLE to the file with the certificates of your network",
    sdk.ConnectionError: _NETWORK,
    sdk.ConnectionClosedError: _NETWORK,
    sdk.ReadTimeoutError: _NETWORK,
    sdk.HTTPClientError: "check HTTPS_PROXY, AWS_CA_BUNDLE and the credentials for invalid characters",
}
"""What to do by the SDK's error; the first that fits."""
_UNREACHABLE = (sdk.ConnectionError, sdk.ConnectionClosedError, sdk.ReadTimeoutError)
_TEXTS: dict[type[Exception], str] = {
    sdk.NoCredentialsError: "no AWS credentials",
    sdk.NoRegionError: "no AWS region",
    sdk.HTTPClientError: "the request to AWS cannot be sent",
}
"""Instead of the SDK's text. That of HTTPClientError quotes an invalid header, which can be the session token."""
_REFUSED_CREDENTIALS = frozenset(
    {
        *("ExpiredToken", "ExpiredTokenException", "RequestExpired", "InvalidClientTokenId", "InvalidAccessKeyId"),
        *("UnrecognizedClientException", "SignatureDoesNotMatch", "InvalidSignatureException", "AuthFailure"),
    }
)
"""AWS's codes for credentials that it does not accept."""


@contextmanager
def translated_errors() -> Iterator[None]:
    """Translate the errors of other types that the SDK raises for invalid settings.

    Raises:
        AwsSettingsError: A setting is not valid.
    """
    try:
        yield
    except (sdk.BotoCoreError, sdk.ClientError):
        raise
    except (ValueError, OSError, LookupError, TypeError, AttributeError) as error:
        raise AwsSettingsError(error) from None


def explain(error: Exception) -> str:
    """Describe an error of AWS or its SDK in one line, with a remedy if there is one, without secrets."""
    problem, remedy = diagnose(error)
    separator = "; " if isinstance(error, sdk.ClientError) else ": "
    return f"{problem}{separator}{remedy}" if remedy else problem


def diagnose(error: Exception) -> tuple[str, str]:
    """Return the problem and the remedy, which is empty if there is none."""
    if isinstance(error, sdk.ClientError):
        return _refusal(error)
    if isinstance(error, _UNREACHABLE) and (endpoint := _local_endpoint(error)):
        return f"no local cloud answers at {endpoint}", "is `orderwatch up` still running?"
    text = _TEXTS.get(type(error)) or " ".join(str(error).split()).rstrip(".:")
    remedy = next((remedy for kind, remedy in _REMEDIES.items() if isinstance(error, kind)), "")
    ignored = _unreadable_files() if isinstance(error, (sdk.NoCredentialsError, sdk.ProfileNotFound)) else []
    return text, remedy + (f" ({', '.join(ignored)} cannot be read)" if ignored else "")


def _local_endpoint(error: Exception) -> str:
    """Return the endpoint if it is on this machine, otherwise an empty text."""
    endpoint = str(getattr(error, "kwargs", {}).get("endpoint_url", ""))
    return endpoint.rstrip("/") if urlsplit(endpoint).hostname in LOOPBACK_HOSTS else ""


def _refusal(error: sdk.ClientError) -> tuple[str, str]:
    reported = error.response["Error"]
    code = reported.get("Code", "unknown error")
    # A refused PutParameter may quote the value.
    message = "" if error.operation_name == "PutParameter" else f": {' '.join(reported.get('Message', '').split())}"
    return f"AWS refused {error.operation_name} ({code}){message}", _CREDENTIALS if code in _REFUSED_CREDENTIALS else ""


def _unreadable_files() -> list[str]:
    """The files of settings that the SDK ignores because it cannot read them."""
    files = {"AWS_SHARED_CREDENTIALS_FILE": "~/.aws/credentials", "AWS_CONFIG_FILE": "~/.aws/config"}
    unreadable = []
    for variable, default in files.items():
        path = Path(os.path.expanduser(os.environ.get(variable) or default))  # noqa: PTH111 - Path needs a home
        try:
            path.open("rb").close()
        except FileNotFoundError:
            unreadable += [str(path)] if os.environ.get(variable) else []
        except OSError:
            unreadable.append(str(path))
    return unreadable
