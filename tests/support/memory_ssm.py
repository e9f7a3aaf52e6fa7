"""The Parameter Store in a dictionary: just what the adapter calls, at the level of boto3's client."""

from collections.abc import Iterator, Mapping
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient


class MissingParameterError(ClientError):
    """The parameter does not exist."""


class MemorySsm:
    """An SSM client whose secrets are ciphertext unless the caller asks for decryption.

    Attributes:
        values: The parameters by name; tokens, keys and URLs are secrets.
        requests: The operation of each request.
        decrypted: The names of the secrets that were decrypted.
        error: What reads of single parameters end with; None: they succeed.
    """

    exceptions = SimpleNamespace(ParameterNotFound=MissingParameterError)

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = dict(values)
        self.requests: list[str] = []
        self.decrypted: list[str] = []
        self.error: ClientError | None = None

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

    def get_paginator(self, operation: str) -> Any:
        find = {"describe_parameters": self._described, "get_parameters_by_path": self._by_path}[operation]
        return SimpleNamespace(paginate=partial(self._pages, operation, find))

    def _pages(self, operation: str, find: Any, **request: Any) -> Iterator[dict[str, Any]]:
        """An empty page, as a large account has them, and one parameter a page."""
        self.requests.append(operation)
        yield {"Parameters": []}
        yield from ({"Parameters": [each]} for each in find(request))

    def _described(self, request: dict[str, Any]) -> list[dict[str, str]]:
        assert request["PaginationConfig"] == {"PageSize": 50}, "the maximum of AWS"
        [path] = request["ParameterFilters"]
        assert (path["Key"], path["Option"]) == ("Path", "Recursive")
        return [{"Name": name} for name in self.values if name.startswith(f"{path['Values'][0]}/")]

    def _by_path(self, request: dict[str, Any]) -> list[dict[str, str]]:
        path = f"{request['Path']}/"
        found = [name for name in self.values if name.startswith(path)]
        if not request.get("Recursive"):
            found = [name for name in found if "/" not in name.removeprefix(path)]
        return [self._parameter(name, request) for name in found]

    def _parameter(self, name: str, request: dict[str, Any]) -> dict[str, str]:
        is_secret = name.endswith(("token", "key", "url"))
        if is_secret and not request.get("WithDecryption"):
            return {"Name": name, "Value": "ciphertext"}
        if is_secret:
            self.decrypted.append(name)
        return {"Name": name, "Value": self.values[name]}
