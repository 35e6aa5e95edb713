"""The base of every section of the shop file."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Unknown fields are errors, values do not change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)
