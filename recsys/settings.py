"""The base of every section of the shop file."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,64}$")]


class Settings(BaseModel):
    """Unknown fields are errors, values do not change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)
