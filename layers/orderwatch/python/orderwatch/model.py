"""What all data models have in common."""

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """A frozen model. Its validator is made at its first use: a cold function pays for none that it does not use."""

    model_config = ConfigDict(frozen=True, defer_build=True)
