"""`make package`: the files of a release are reproducible, complete and deployable."""

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from orderwatch_cli.aws import LOCAL_REGION
from orderwatch_local.cloud.local_cloud import LocalCloud
from orderwatch_local.cloud.sam import local_sam_environment, sam_deploy, this_architecture
from orderwatch_local.package import CHECKSUMS, package, packaged_template
from tests.support.template import ROOT, load_template

SOURCES = ("functions", "layers", "cli", "integrations")
FILES = ("template.yaml", "samconfig.toml", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", ".python-version")


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("released")
    package(folder)
    return folder


@pytest.fixture(scope="module")
def unzipped(released: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    [archive] = released.glob("*.zip")
    into = tmp_path_factory.mktemp("unzipped")
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(into)
    [folder] = into.iterdir()
    return folder


def code_of(template: dict[str, Any]) -> set[str]:
    properties = [each["Properties"] for each in template["Resources"].values()]
    return {each[place] for each in properties for place in ("CodeUri", "ContentUri") if place in each}


def test_the_template_of_a_release_has_its_code_beside_it(unzipped: Path) -> None:
    text = (unzipped / "template.yaml").read_text()
    assert text == packaged_template((ROOT / "template.yaml").read_text())
    code = {line.partition("Uri: ")[2] for line in text.splitlines() if "Uri: " in line}
    assert len(code) == len(code_of(load_template()))
    assert {path.name for path in unzipped.glob("*.zip")} == code
    with zipfile.ZipFile(unzipped / "SendSummaryFunction.zip") as function:
        assert function.namelist() == ["app.py"]
    with zipfile.ZipFile(unzipped / "OrderwatchLayer.zip") as layer:
        assert "python/orderwatch/polling/poll.py" in layer.namelist()


@pytest.mark.slow
def test_two_builds_in_two_places_have_the_same_checksums(released: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    for name in SOURCES:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, copy / name)
    package(tmp_path / "dist", project=copy)
    sums = (tmp_path / "dist" / CHECKSUMS).read_text()
    assert sums == (released / CHECKSUMS).read_text()
    assert len(sums.splitlines()) == 2


@pytest.mark.slow
def test_a_release_can_be_deployed_without_a_build(unzipped: Path, tmp_path: Path) -> None:
    """On the local cloud, which lacks alarms on an expression."""
    document = load_template()
    resources = {
        name: each
        for name, each in document["Resources"].items()
        if each["Type"] != "AWS::CloudWatch::Alarm" or "Metrics" not in each["Properties"]
    }
    text = packaged_template(yaml.safe_dump({**document, "Resources": resources}, sort_keys=False))
    # Without samconfig.toml, whose bucket is SAM's own.
    shutil.copytree(unzipped, tmp_path / "release", ignore=shutil.ignore_patterns("samconfig.toml"))
    template = tmp_path / "release/emulator.yaml"
    template.write_text(text)
    with LocalCloud() as cloud:
        cloud.client("s3").create_bucket(Bucket="code")
        sam_deploy(
            template,
            stack_name="orderwatch",
            bucket="code",
            region=LOCAL_REGION,
            parameters={"Architecture": this_architecture()},
            environment=local_sam_environment(tmp_path, cloud.environment()),
        )
        function = cloud.outputs().redrive_alerts_function_name
        answer = cloud.client("lambda").invoke(FunctionName=function, Payload=b"{}")
        assert json.load(answer["Payload"]) == {"sent": 0, "unsent": 0}
