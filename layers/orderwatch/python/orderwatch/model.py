"""The base class of the data models."""

from pydantic import BaseModel, ConfigDict, ValidationError


class Model(BaseModel):
    """A frozen model. Its validator is built at first use, so that a cold start builds only those that it needs."""

    model_config = ConfigDict(frozen=True, defer_build=True)


def describe_flaws(error: ValidationError) -> str:
    """Describe which fields are invalid and why, without their values: values can be personal (rule 13)."""
    flaws = error.errors(include_url=False, include_context=False, include_input=False)
    return ", ".join(f"{'.'.join(map(str, flaw['loc'])) or 'record'}: {flaw['type']}" for flaw in flaws)
