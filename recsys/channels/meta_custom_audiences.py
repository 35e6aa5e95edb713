"""Meta Custom Audiences: hashed e-mail addresses and phone numbers, and names and country where they are asked for.

A file has at most as many rows as one request of the API takes. Meta matches few people of a list under 100, changes
take up to a day, and a list that no advertisement used for two years is flagged for deletion. Audiences whose name
suggests somebody's health or finances are blocked, so such a name is refused here.
"""

import re
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, field_validator

from recsys.channels.hashed_audience import HashedAudience
from recsys.channels.parts import Limits
from recsys.settings import Settings

if TYPE_CHECKING:
    from recsys.channel_settings import Channel as ChannelSettings

MAX_ROWS = 10_000
"""In one request."""
SUGGESTIVE = (
    *("health", "illness", "disease", "diabet", "cancer", "depress", "asthma", "arthrit", "allerg", "pregnan", "medic"),
    *("patient", "therap", "disab", "obes", "addict", "insomnia", "gesund", "krank", "krebs", "schwanger", "behinder"),
    *(
        "allergi",
        "debt",
        "bankrupt",
        "loan",
        "mortgage",
        "income",
        "insolven",
        "wealth",
        "schuld",
        "kredit",
        "einkommen",
    ),
    *("insolvenz", "vermögen", "santé", "malad", "enceint", "dette", "revenu", "crédit"),
)
"""Beginnings of words that speak of somebody's health or finances, in English, German and French."""


def suggestive(name: str) -> str | None:
    """The first word of a name that suggests somebody's health or finances; None when there is none."""
    words = re.findall(r"[^\W\d_]+", name.casefold())
    return next((word for word in words if word.startswith(SUGGESTIVE)), None)


class MetaOptions(Settings):
    """What only this kind knows."""

    audience_name: str | None = Field(None, description="What the audience is called at Meta; left out: as the channel")
    keep_accents: bool = Field(
        True, description="false: names are hashed as Meta's own SDK does, of the letters a to z alone"
    )

    @field_validator("audience_name")
    @classmethod
    def _harmless(cls, name: str | None) -> str | None:
        word = suggestive(name or "")
        if word:
            raise ValueError(
                f"'{word}' suggests health or finances, and Meta blocks such audiences; choose another name"
            )
        return name


class MetaCustomAudiences(HashedAudience):
    """`email` and `phone`, and `fn`, `ln`, `country` where `fields` names them, hashed by Meta's rules."""

    kind = "meta_custom_audiences"
    fields = ("email", "phone", "first_name", "last_name", "country")
    headings: ClassVar[dict[str, str]] = {"first_name": "fn", "last_name": "ln"}
    limits = Limits(rows=MAX_ROWS)
    steps = (
        "Meta Ads Manager, Audiences, your customer list: import both remove files first, as people to remove.",
        "Import every part of the personalised file, and of the unpersonalised one into an audience of its own.",
    )
    Options = MetaOptions

    @classmethod
    def check(cls, settings: "ChannelSettings") -> None:
        super().check(settings)
        word = suggestive(settings.name)
        if word:
            raise ValueError(f"name: '{word}' suggests health or finances, and Meta blocks such audiences")

    @property
    def hash_forms(self) -> dict[str, str]:
        options = MetaOptions(**self.settings.options)
        name = "meta_name" if options.keep_accents else "meta_plain_name"
        return {
            "email": "meta_email",
            "phone": "meta_phone",
            "first_name": name,
            "last_name": name,
            "country": "meta_country",
        }
