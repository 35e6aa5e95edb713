"""When and how often customers may be written to or asked."""

import re

from pydantic import Field, field_validator, model_validator

from recsys.settings import Settings
from recsys.vocabulary import ContactChannel


class Cap(Settings):
    """How many messages one person may get; all hold. Without any `caps`: one per contact channel and day."""

    contact_channel: ContactChannel | None = Field(
        None, description="Messages of which contact channel; left out: of all of them together"
    )
    days: int | None = Field(
        None,
        ge=1,
        le=90,
        description="Counted over so many days of the person's own calendar, the campaign day the last",
    )
    hours: int | None = Field(
        None, ge=1, le=2160, description="Or over so many hours back from the earliest moment the message may go out"
    )
    most: int = Field(ge=1, description="Messages in this window, at most, tonight's included")

    @model_validator(mode="after")
    def _one_window(self) -> "Cap":
        if (self.days is None) == (self.hours is None):
            raise ValueError("exactly one of days, hours must be given")
        return self


ONE_A_DAY = tuple(Cap(contact_channel=channel, days=1, most=1) for channel in ContactChannel)


class QuietHours(Settings):
    """When nobody is to be disturbed, by the person's own clock; of several that apply each one holds."""

    contact_channel: ContactChannel | None = Field(
        None, description="For messages of which contact channel; left out: of every one"
    )
    begins: str = Field(alias="from", description='Time of day, as in "21:00"; "00:00" is the end of the day')
    ends: str = Field(alias="to", description='Time of day of the next morning, as in "08:00"')

    @field_validator("begins", "ends", mode="before")
    @classmethod
    def _time_of_day(cls, value: object) -> object:
        if not isinstance(value, str) or not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", value):
            raise ValueError('allowed: a time of day in quotes, from "00:00" to "23:59"')
        return value

    @model_validator(mode="after")
    def _leave_a_day(self) -> "QuietHours":
        if self.begins != "00:00" and self.begins <= self.ends:
            raise ValueError(f"quiet hours go over midnight: from ({self.begins}) must be later than to ({self.ends})")
        return self


class CheckIn(Settings):
    """Whom to ask whether what we think they want still holds, in the nightly check-in files."""

    every_days: int = Field(
        90, ge=1, le=90, description="Nobody is asked twice within so many days; the ledger reaches 90 nights back"
    )
    topics: int = Field(3, ge=1, le=10, description="Topics per person, at most")
    faded_below: float = Field(
        0.5, gt=0, le=1, description="A stated interest is asked about once its strength, 1 when new, is below this"
    )
    lately_days: int = Field(
        90, ge=1, le=3650, description="Expired interests and finished needs are asked about for so many days"
    )
