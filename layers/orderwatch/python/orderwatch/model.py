"""What all data models have in common."""

from pydantic import BaseModel, ConfigDict, ValidationError


class Model(BaseModel):
    """A frozen model. Its validator is built at first use: a cold start pays only for the models that it uses."""

    model_config = ConfigDict(frozen=True, defer_build=True)


def describe_flaws(error: ValidationError) -> str:
    """Say which fields are wrong and how, without any value: values may be personal."""
    flaws = error.errors(include_url=False, include_context=False, include_input=False)
    return ", ".join(f"{'.'.join(map(str, flaw['loc'])) or 'record'}: {flaw['type']}" for flaw in flaws)
