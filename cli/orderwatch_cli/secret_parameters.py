"""Puts a secret into the Parameter Store."""

from typing import Final

from pydantic import SecretStr

from orderwatch_cli.stack import Stack

ENCRYPTED: Final = "SecureString"


def put_secret(stack: Stack, name: str, value: SecretStr) -> None:
    """Store a secret encrypted, in place of what is there.

    AWS changes no parameter's type, and the history of one keeps its old values: what was stored in the clear goes
    first.

    Args:
        stack: Where.
        name: The parameter, with its path.
        value: The secret.
    """
    ssm = stack.aws.ssm
    found = ssm.describe_parameters(ParameterFilters=[{"Key": "Name", "Option": "Equals", "Values": [name]}])
    if any(each["Type"] != ENCRYPTED for each in found["Parameters"]):
        ssm.delete_parameter(Name=name)
    ssm.put_parameter(Name=name, Value=value.get_secret_value(), Type=ENCRYPTED, Overwrite=True)
