"""The local cloud holds real keys and runs code: it serves only the run that started it."""

import base64
import http.client
import io
import json
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest

from orderwatch_cli.local_credentials import find_session_token
from orderwatch_cli.main import run
from orderwatch_local.cloud.local_cloud import LocalCloud

KEY = "the-real-api-key"
PARAMETER = "/orderwatch/trackstar/api-key"
FOREIGN = "https://evil.example"
GET_PARAMETER = "AmazonSSM.GetParameter"
FUNCTION: Any = {"Runtime": "python3.13", "Role": "arn:aws:iam::000000000000:role/none", "Handler": "app.handler"}


class ApiResponse:
    """What came back on a request that no SDK made."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read().decode(errors="replace")


def ask(cloud: LocalCloud, method: str, path: str, *, body: str = "", **headers: str) -> ApiResponse:
    """A request as any process or web page can make it: `content_type` is the header Content-Type."""
    address = urlsplit(cloud.endpoint)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body=body.encode() or None, headers=named)
        return ApiResponse(connection.getresponse())
    finally:
        connection.close()


def read_key(cloud: LocalCloud, **headers: str) -> ApiResponse:
    body = json.dumps({"Name": PARAMETER, "WithDecryption": True})
    return ask(cloud, "POST", "/", body=body, x_amz_target=GET_PARAMETER, content_type="text/plain", **headers)


def packed(source: str) -> bytes:
    """A function's code, as Lambda wants it."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("app.py", source)
    return archive.getvalue()


def own_secret(cloud: LocalCloud) -> dict[str, str]:
    return {"x_amz_security_token": cloud.environment()["AWS_SESSION_TOKEN"]}


@pytest.fixture(scope="module")
def guarded(cloud: LocalCloud) -> LocalCloud:
    """A local cloud that holds a key."""
    cloud.put_secret(PARAMETER, KEY)
    return cloud


def test_a_web_page_cannot_read_the_key(guarded: LocalCloud) -> None:
    by_address = f"/?Action=GetParameter&Version=2014-11-06&Name={PARAMETER}&WithDecryption=true"
    for answer in (
        read_key(guarded, origin=FOREIGN),
        read_key(guarded),
        ask(guarded, "GET", by_address, origin=FOREIGN),
    ):
        assert KEY not in answer.body
        assert answer.status == 403
        assert "access-control-allow-origin" not in answer.headers


def test_a_web_page_gets_no_cors_permission(guarded: LocalCloud) -> None:
    answer = ask(guarded, "OPTIONS", "/", origin=FOREIGN, access_control_request_method="POST")
    assert answer.status == 403
    assert "access-control-allow-origin" not in answer.headers


def test_a_web_page_cannot_create_or_run_a_function(guarded: LocalCloud, tmp_path: Path) -> None:
    code = packed(f"def handler(event, context):\n    open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    planted = {**FUNCTION, "FunctionName": "planted", "Code": {"ZipFile": base64.b64encode(code).decode()}}
    path = "/2015-03-31/functions"
    created = ask(guarded, "POST", path, body=json.dumps(planted), content_type="text/plain", origin=FOREIGN)
    invoked = ask(guarded, "POST", f"{path}/planted/invocations", content_type="text/plain", origin=FOREIGN)
    assert not (tmp_path / "ran").exists()
    assert (created.status, invoked.status) == (403, 403)
    assert guarded.client("lambda").list_functions()["Functions"] == []


def test_a_request_with_the_secret_of_the_run_is_served(guarded: LocalCloud) -> None:
    parameter = guarded.client("ssm").get_parameter(Name=PARAMETER, WithDecryption=True)
    assert parameter["Parameter"]["Value"] == KEY
    assert json.loads(read_key(guarded, **own_secret(guarded)).body)["Parameter"]["Value"] == KEY


@pytest.mark.parametrize("headers", [{"origin": FOREIGN}, {"origin": "null"}, {"host": "evil.example"}])
def test_another_host_or_origin_is_refused_with_the_secret(guarded: LocalCloud, headers: dict[str, str]) -> None:
    answer = read_key(guarded, **own_secret(guarded), **headers)
    assert KEY not in answer.body
    assert answer.status == 403


def test_the_secret_of_another_run_is_refused(guarded: LocalCloud) -> None:
    with LocalCloud() as other:
        assert read_key(guarded, **own_secret(other)).status == 403


def test_a_deployed_function_is_served(guarded: LocalCloud) -> None:
    code = f"""
import boto3
def handler(event, context):
    boto3.client("ssm").put_parameter(Name="/written/by/a/function", Value="{KEY}", Type="String")
"""
    functions = guarded.client("lambda")
    functions.create_function(**FUNCTION, FunctionName="own", Code={"ZipFile": packed(code)}, Timeout=30)
    try:
        answer = functions.invoke(FunctionName="own", Payload=b"{}")
    finally:
        functions.delete_function(FunctionName="own")
    assert "FunctionError" not in answer, answer["Payload"].read()
    parameter = guarded.client("ssm").get_parameter(Name="/written/by/a/function")
    assert parameter["Parameter"]["Value"] == KEY


def test_a_tool_with_the_credentials_file_is_served(guarded: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(guarded.credentials_file))
    ssm = boto3.Session().client("ssm", endpoint_url=guarded.endpoint)
    assert ssm.get_parameter(Name=PARAMETER, WithDecryption=True)["Parameter"]["Value"] == KEY


def test_the_credentials_file_is_private_and_deleted_at_the_end() -> None:
    with LocalCloud() as cloud:
        path, endpoint = cloud.credentials_file, cloud.endpoint
        assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
        assert find_session_token(endpoint) == cloud.environment()["AWS_SESSION_TOKEN"]
        assert find_session_token(endpoint.replace("127.0.0.1", "localhost"))
        assert find_session_token(endpoint.replace("127.0.0.1", "cloud.example")) is None
    assert not path.parent.exists()
    assert find_session_token(endpoint) is None


def test_a_command_without_credentials_is_refused_in_one_line(
    guarded: LocalCloud, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(SystemExit) as left:
        run(["shops", "--endpoint-url", guarded.endpoint])
    out, err = capsys.readouterr()
    assert (left.value.code, out, err.count("\n")) == (1, "", 1)
    assert "serves only the user and the run that started it" in err
