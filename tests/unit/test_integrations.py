"""integrations/: optional templates and examples fit the stack that they are for."""

import re
import tomllib
from typing import Any

import yaml

from orderwatch_cli.stack import STACK_NAME
from tests.support.template import ROOT, load_template

AMAZON_Q = load_template("integrations/amazon-q.yaml")


def test_amazon_q_takes_the_topics_that_the_stack_has_as_outputs() -> None:
    topics = {name for name in AMAZON_Q["Parameters"] if name.endswith("TopicArn")}
    assert topics <= load_template()["Outputs"].keys()
    subscribed = AMAZON_Q["Resources"]["Channel"]["Properties"]["SnsTopicArns"]
    optional = {"Fn::If": ["HasOpsTopic", {"Ref": "OpsTopicArn"}, {"Ref": "AWS::NoValue"}]}
    assert subscribed == [{"Ref": "AlertTopicArn"}, optional]


def test_amazon_q_may_do_nothing_in_the_account() -> None:
    channel, role = (AMAZON_Q["Resources"][name]["Properties"] for name in ("Channel", "ChannelRole"))
    denied = {"Fn::Sub": "arn:${AWS::Partition}:iam::aws:policy/AWSDenyAll"}
    assert channel["GuardrailPolicies"] == [denied]
    assert not {"Policies", "ManagedPolicyArns"} & role.keys()


def test_names_that_are_unique_in_an_account_have_the_region() -> None:
    named = AMAZON_Q["Resources"]["Channel"]["Properties"]["ConfigurationName"]
    assert named == {"Fn::Sub": "${AWS::StackName}-${AWS::Region}"}


# Deploying from CI


def workflow() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / "integrations/github-deploy.yaml").read_text())
    return document


def deployed_with() -> dict[str, Any]:
    """The settings of samconfig.toml that the deployment of the workflow uses."""
    [step] = [step["run"] for step in workflow()["jobs"]["deploy"]["steps"] if "sam deploy" in step.get("run", "")]
    [environment] = re.findall(r"--config-env (\w+)", step)
    settings: dict[str, Any] = tomllib.loads((ROOT / "samconfig.toml").read_text())[environment]["deploy"]["parameters"]
    return settings


def test_a_deployment_from_ci_asks_nothing_and_is_that_of_an_operator() -> None:
    settings = tomllib.loads((ROOT / "samconfig.toml").read_text())["default"]["deploy"]["parameters"]
    assert deployed_with() == {"stack_name": STACK_NAME, **settings, "confirm_changeset": False}
    assert settings["confirm_changeset"] is True, "an operator sees the changes first"


def test_the_workflow_can_get_a_token_for_its_role_and_is_not_cancelled() -> None:
    found = workflow()
    assert found["permissions"] == {"contents": "read", "id-token": "write"}
    assert found["concurrency"]["cancel-in-progress"] is False
    policy = (ROOT / "integrations/deployer-policy.yaml").read_text()
    assert f":environment:{found['jobs']['deploy']['environment']}" in policy, "the subject that it shows"
    [credentials] = [step for step in found["jobs"]["deploy"]["steps"] if "configure-aws-credentials" in str(step)]
    assert credentials["with"] == {"role-to-assume": "${{ vars.AWS_ROLE_ARN }}", "aws-region": "${{ vars.AWS_REGION }}"}
