"""The Parameter Store in a dictionary: just what the adapter calls, at the level of boto3's client."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

ITEMS_A_PAGE = 3


class MissingParameterError(ClientError):
    """The parameter does not exist."""


class _Exceptions:
    """As boto3 offers them: `client.exceptions.NAME`."""

    ParameterNotFound = MissingParameterError


class MemorySsm:
    """An SSM client; secrets are ciphertext unless the caller asks for decryption.

    Attributes:
        values: The parameters by name; those of a shop's token, the API key and the webhook are secrets.
        requests: The operation of each request.
        decrypted: The names of the secrets that were decrypted.
        error: What reads of single parameters end with; None: they succeed.
    """

    exceptions = _Exceptions

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self.values = dict(values or {})
        self.requests: list[str] = []
        self.decrypted: list[str] = []
        self.error: ClientError | None = None

    def as_client(self) -> "SSMClient":
        """Itself under the type that the adapter names."""
        return cast("SSMClient", self)

    def get_parameter(self, *, Name: str, WithDecryption: bool) -> dict[str, Any]:  # noqa: N803 - as boto3 names it
        self.requests.append("GetParameter")
        if self.error:
            raise self.error
        if Name not in self.values:
            raise MissingParameterError({"Error": {"Code": "ParameterNotFound", "Message": ""}}, "GetParameter")
        return {"Parameter": self._parameter(Name, with_decryption=WithDecryption)}

    def get_paginator(self, operation: str) -> "_Paginator":
        return _Paginator(self, operation)

    def _parameter(self, name: str, *, with_decryption: bool) -> dict[str, str]:
        if not name.endswith(("token", "key", "url")):
            return {"Name": name, "Value": self.values[name]}
        if not with_decryption:
            return {"Name": name, "Value": "ciphertext"}
        self.decrypted.append(name)
        return {"Name": name, "Value": self.values[name]}

    def get_parameters_by_path(self, **request: Any) -> list[dict[str, str]]:
        path = f"{request['Path']}/"
        below = [name for name in self.values if name.startswith(path)]
        found = below if request.get("Recursive") else [name for name in below if "/" not in name.removeprefix(path)]
        return [self._parameter(name, with_decryption=request.get("WithDecryption", False)) for name in found]

    def describe_parameters(self, **request: Any) -> list[dict[str, str]]:
        [parameter_filter] = request["ParameterFilters"]
        assert (parameter_filter["Key"], parameter_filter["Option"]) == ("Path", "Recursive")
        assert request["PaginationConfig"] == {"PageSize": 50}, "the maximum of AWS"
        [path] = parameter_filter["Values"]
        return [{"Name": name} for name in self.values if name.startswith(f"{path}/")]


@dataclass(frozen=True)
class _Paginator:
    """Pages with an empty one first: in a large account, AWS returns pages without a match."""

    ssm: MemorySsm
    operation: str

    def paginate(self, **request: Any) -> Iterator[dict[str, Any]]:
        self.ssm.requests.append(self.operation)
        found: list[dict[str, str]] = getattr(self.ssm, self.operation)(**request)
        for start in range(-ITEMS_A_PAGE, len(found), ITEMS_A_PAGE):
            yield {"Parameters": found[max(start, 0) : start + ITEMS_A_PAGE]}
