"""Sections of the shop file about what a finished list says."""

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from recsys.settings import Settings
from recsys.vocabulary import Reason

Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[a-z0-9]{2,8})*$")]
Template = Annotated[str, Field(min_length=1, max_length=300)]

PLACEHOLDERS: Mapping[Reason, str] = {
    Reason.INTERESTED: "{topic}",
    Reason.FOLLOWS: "{topic}",
    Reason.BOUGHT: "{product}",
    Reason.LOOKED_AT: "{product}",
    Reason.POPULAR: "{days}",
}
"""What a sentence of the kind is about, and names exactly once; sentences of other kinds name nothing."""

TEMPLATES: Mapping[str, Mapping[Reason, str]] = {
    "en": {
        Reason.INTERESTED: "Because you said you are interested in {topic}",
        Reason.DUE: "You usually buy this again about now",
        Reason.FOLLOWS: "Often chosen after {topic}",
        Reason.BOUGHT: "Because you bought {product}",
        Reason.LOOKED_AT: "Because you looked at {product}",
        Reason.INDIVIDUAL: "Chosen from your own purchases and visits",
        Reason.POPULAR: "Popular in the last {days} days",
        Reason.POPULAR_DAY: "Popular in the last day",
        Reason.RANGE: "From our range",
    },
    "de": {
        Reason.INTERESTED: "Weil Sie angegeben haben, dass Sie sich für {topic} interessieren",
        Reason.DUE: "Das kaufen Sie meist um diese Zeit wieder",
        Reason.FOLLOWS: "Wird oft nach {topic} gewählt",
        Reason.BOUGHT: "Weil Sie {product} gekauft haben",
        Reason.LOOKED_AT: "Weil Sie sich {product} angesehen haben",
        Reason.INDIVIDUAL: "Ausgewählt nach Ihren eigenen Käufen und Besuchen",
        Reason.POPULAR: "Beliebt in den letzten {days} Tagen",
        Reason.POPULAR_DAY: "Beliebt am letzten Tag",
        Reason.RANGE: "Aus unserem Sortiment",
    },
    "fr": {
        Reason.INTERESTED: "Parce que vous avez dit vous intéresser à : {topic}",
        Reason.DUE: "Vous en rachetez d'habitude vers cette période",
        Reason.FOLLOWS: "Souvent choisi après : {topic}",
        Reason.BOUGHT: "Parce que vous avez acheté {product}",
        Reason.LOOKED_AT: "Parce que vous avez regardé {product}",
        Reason.INDIVIDUAL: "Choisi d'après vos propres achats et visites",
        Reason.POPULAR: "Populaire ces {days} derniers jours",
        Reason.POPULAR_DAY: "Populaire ce dernier jour",
        Reason.RANGE: "De notre gamme",
    },
    "es": {
        Reason.INTERESTED: "Porque dijo que le interesa: {topic}",
        Reason.DUE: "Suele volver a comprarlo por estas fechas",
        Reason.FOLLOWS: "Se elige a menudo después de: {topic}",
        Reason.BOUGHT: "Porque compró {product}",
        Reason.LOOKED_AT: "Porque miró {product}",
        Reason.INDIVIDUAL: "Elegido según sus propias compras y visitas",
        Reason.POPULAR: "Popular en los últimos {days} días",
        Reason.POPULAR_DAY: "Popular en el último día",
        Reason.RANGE: "De nuestro surtido",
    },
}
"""The sentences that come with the product, by language and kind."""


class Variety(Settings):
    """How much of one kind a list may hold, and for how long it may repeat a product; null is no limit.

    Categories and brands are unlimited unless the shop file says so: in a shop of one department any limit would make
    every list short. Fourteen nights are two of each weekday: whoever has not wanted a product by then gets another.
    """

    max_per_category: int | None = Field(None, ge=1, le=100, description="Products of one top category in a list")
    max_per_brand: int | None = Field(None, ge=1, le=100, description="Products of one brand in a list")
    max_bought_again: int | None = Field(
        None,
        ge=0,
        le=100,
        description="Products in a list that the customer bought before; left out, the scores decide how they share it",
    )
    max_nights_in_a_row: int | None = Field(
        14,
        ge=1,
        le=30,
        description="A product that was in somebody's file on so many nights in a row rests for one, unless it is due",
    )


class Reasons(Settings):
    """Why a product is recommended: how much of a score one product must explain, and how it is said in files."""

    min_share: float = Field(
        0.1,
        ge=0,
        le=1,
        description="No row says that something bought or looked at is why below this share of the score",
    )
    language: Language = Field(
        "en", description="Sentences for customers of unknown language, and of those without sentences of their own"
    )
    templates: dict[Language, dict[Reason, Template]] = Field(
        default_factory=dict,
        description="Sentences per language and kind of reason, beside or instead of those for en, de, fr and es: "
        + ", ".join(f"{kind} with {PLACEHOLDERS[kind]}" if kind in PLACEHOLDERS else kind.value for kind in Reason),
    )

    @field_validator("templates")
    @classmethod
    def _whole(cls, templates: dict[str, dict[Reason, str]]) -> dict[str, dict[Reason, str]]:
        for language, sentences in templates.items():
            missing = [kind.value for kind in Reason if kind not in sentences]
            if missing and language not in TEMPLATES:
                raise ValueError(f"{language}: missing: {', '.join(missing)}; a language needs all of its sentences")
            for kind, sentence in sentences.items():
                wanted = [PLACEHOLDERS[kind]] if kind in PLACEHOLDERS else []
                if re.findall(r"\{[^{}]*\}", sentence) != wanted or sentence.count("{") != len(wanted):
                    needed = f"{wanted[0]} exactly once and no other brace" if wanted else "no brace"
                    raise ValueError(f"{language}.{kind.value}: the sentence needs {needed}")
        return templates

    @model_validator(mode="after")
    def _can_always_say_it(self) -> "Reasons":
        if self.language not in self.sentences:
            known = ", ".join(sorted(self.sentences))
            raise ValueError(f"language is '{self.language}', allowed: one with sentences ({known})")
        return self

    @property
    def sentences(self) -> dict[str, dict[Reason, str]]:
        """Every language that can be spoken, each with a sentence for every kind."""
        languages = sorted({*TEMPLATES, *self.templates})
        return {name: {**TEMPLATES.get(name, {}), **self.templates.get(name, {})} for name in languages}
