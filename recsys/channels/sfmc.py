"""Salesforce Marketing Cloud: rows of a data extension, comma-delimited (csv) or tab-delimited (txt).

Labels that equal the field names of the data extension map by themselves, so name its fields as the header does. The
date in the file name is the account's: an import's `%%Year%%%%Month%%%%Day%%` is resolved in the account's time zone
when the automation runs, so the name carries the day of the first `imports_at` at or after the night's end. No limit
of size is documented. Without a primary key only Overwrite is possible, which needs no other file than the full one;
with Add and Update import the clear file first, and delete the people of the remove file.
"""

from datetime import date, datetime, time, timedelta
from typing import ClassVar
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, field_validator

from recsys.channels.tool_file import ToolFile
from recsys.settings import Settings
from recsys.vocabulary import ContactChannel


class Options(Settings):
    """When and by which clock an account imports."""

    account_timezone: str | None = Field(None, description="IANA name; left out: the shop's")
    imports_at: str = Field("06:00", pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", description="Time of the automation")

    @field_validator("account_timezone")
    @classmethod
    def _known_zone(cls, zone: str | None) -> str | None:
        if zone is not None and zone not in available_timezones():
            raise ValueError(f"'{zone}' is not an IANA time zone name such as Europe/Berlin")
        return zone


class Sfmc(ToolFile):
    """One row per recipient, found by contact key (our customer_id) or e-mail address."""

    kind = "sfmc"
    formats = ("csv", "txt")
    contact_channels = (ContactChannel.EMAIL, ContactChannel.SMS, ContactChannel.PUSH)
    identifiers = ("customer_id", "email")
    Options = Options
    leaving = ("With a primary key: delete the people of the file _remove_ from the data extension first.",)
    steps = (
        "Put it into the import folder; its date is the account's, as %%Year%%%%Month%%%%Day%% in a naming pattern.",
        "Import activity: map by header, as labels equal the data extension's fields; double quotes qualify texts.",
        "Overwrite takes the full file alone; with a primary key, Add and Update also takes the file _clear_ first.",
    )
    headings: ClassVar[dict[str, str]] = {
        "customer_id": "ContactKey",
        "email": "EmailAddress",
        "phone": "MobilePhone",
        "first_name": "FirstName",
        "last_name": "LastName",
        "language": "Language",
        "country": "Country",
        "timezone": "TimeZone",
    }

    @classmethod
    def default_fields(cls, contact_channel: str, identifier: str) -> list[str]:
        address = {ContactChannel.EMAIL: ["email"], ContactChannel.SMS: ["phone"]}.get(ContactChannel(contact_channel))
        return [*(address or []), *super().default_fields(contact_channel, identifier)]

    def dated(self, run_date: date) -> str:
        options = self.options
        assert isinstance(options, Sfmc.Options)  # noqa: S101 - what this class asks for
        zone = ZoneInfo(options.account_timezone or self.shop.timezone)
        end = self.shop.night_end(run_date).replace(tzinfo=ZoneInfo("UTC"))
        day = end.astimezone(zone).date()
        at = datetime.combine(day, time.fromisoformat(options.imports_at), tzinfo=zone)
        return f"{day if at >= end else day + timedelta(days=1):%Y%m%d}"
