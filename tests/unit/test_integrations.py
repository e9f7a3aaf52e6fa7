"""integrations/: optional templates and examples fit the stack that they are for."""

from tests.support.template import load_template

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
