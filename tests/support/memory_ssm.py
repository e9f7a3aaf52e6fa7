"""The Parameter Store in a dictionary: just what the adapter calls, at the level of boto3's client."""

from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast
from zlib import crc32

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient


class MissingParameterError(ClientError):
    """The parameter does not exist."""


def _is_asked_for(name: str, asked: Mapping[str, Any]) -> bool:
    match (asked["Key"], asked["Option"]):
        case ("Path", "Recursive"):
            return name.startswith(f"{asked['Values'][0]}/")
        case ("Name", "Equals"):
            assert 1 <= len(asked["Values"]) <= 50, "the maximum of AWS"
            return name in asked["Values"]
    raise NotImplementedError(asked)


class MemorySsm:
    """An SSM client whose secrets are ciphertext unless the caller asks for decryption.

    Attributes:
        values: The parameters by name; tokens, keys and URLs are secrets.
        requests: The operation of each request.
        decrypted: The names of the secrets that were decrypted.
        error: What requests end with; None: they succeed.
    """

    exceptions = SimpleNamespace(ParameterNotFound=MissingParameterError)

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = dict(values)
        self.requests: list[str] = []
        self.decrypted: list[str] = []
        self.error: Exception | None = None

    def as_client(self) -> "SSMClient":
        """Itself under the type that the adapter names."""
        return cast("SSMClient", self)

    def get_parameter(self, **request: Any) -> dict[str, Any]:
        self.requests.append("get_parameter")
        if self.error:
            raise self.error
        if request["Name"] not in self.values:
            raise MissingParameterError({"Error": {"Code": "ParameterNotFound", "Message": ""}}, "GetParameter")
        return {"Parameter": self._parameter(request["Name"], request)}

    def get_parameters(self, **request: Any) -> dict[str, Any]:
        self.requests.append("get_parameters")
        return {"Parameters": [self._parameter(name, request) for name in request["Names"] if name in self.values]}

    def get_paginator(self, operation: str) -> Any:
        assert operation == "get_parameters_by_path"
        return SimpleNamespace(paginate=self._pages)

    def _pages(self, **request: Any) -> Iterator[dict[str, Any]]:
        """An empty page, as a large account has them, and one parameter a page."""
        self.requests.append("get_parameters_by_path")
        if self.error:
            raise self.error
        yield {"Parameters": []}
        yield from ({"Parameters": [each]} for each in self._by_path(request))

    def describe_parameters(self, **request: Any) -> dict[str, Any]:
        """An empty page, as a large account has them, then one parameter a page; the token is its number."""
        self.requests.append("describe_parameters")
        if self.error:
            raise self.error
        assert request["MaxResults"] == 50, "the maximum of AWS"
        [asked] = request["ParameterFilters"]
        names = sorted(name for name in self.values if _is_asked_for(name, asked))
        if asked["Option"] == "Equals":
            return {"Parameters": [{"Name": name} for name in names]}
        number = int(request.get("NextToken", 0))
        more = {"NextToken": str(number + 1)} if number < len(names) else {}
        return {"Parameters": [{"Name": name} for name in names[number - 1 : number] if number], **more}

    def _by_path(self, request: dict[str, Any]) -> list[dict[str, Any]]:
        path = f"{request['Path']}/"
        found = [name for name in self.values if name.startswith(path)]
        if not request.get("Recursive"):
            found = [name for name in found if "/" not in name.removeprefix(path)]
        return [self._parameter(name, request) for name in found]

    def _parameter(self, name: str, request: dict[str, Any]) -> dict[str, Any]:
        """Another value is another version."""
        version = crc32(self.values[name].encode())
        is_secret = name.endswith(("token", "key", "url"))
        if is_secret and not request.get("WithDecryption"):
            return {"Name": name, "Value": "ciphertext", "Version": version}
        if is_secret:
            self.decrypted.append(name)
        return {"Name": name, "Value": self.values[name], "Version": version}
