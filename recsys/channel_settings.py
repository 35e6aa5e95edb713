"""The section `channels` of the shop file: which files leave, what they say, and where they go."""

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator

from recsys.channels import kinds
from recsys.delivery.apis import APIS
from recsys.delivery.settings import Deliver
from recsys.settings import Name, Settings
from recsys.vocabulary import ContactChannel

LanguageTag = Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[a-z0-9]{2,8})*$")]
Field_ = Literal[
    "email",
    "phone",
    "first_name",
    "last_name",
    "language",
    "country",
    "timezone",
    "choices_applied",
    "send_not_before",
    "send_not_after",
    "run_date",
]
NIGHTLY = frozenset({"send_not_before", "send_not_after", "run_date"})
"""Fields that are others every night: with one of them every row changes, and a delta is the full file."""


class Channel(Settings):
    """One audience: which kind of file, under which name, over which contact channel.

    What a kind decides by itself (format, identifier, fields, moments, contact channel) is filled in with its default.
    """

    name: Name = Field(description="The audience's name: of its folder and its files")
    kind: str = Field(
        description="Which tool's files: " + ", ".join(kinds.BUILT_IN) + "; or a kind of your own "
        f"(Python entry point, group {kinds.GROUP})"
    )
    contact_channel: ContactChannel = Field(
        ContactChannel.EMAIL, description="Whose consent counts: email, sms, push, post or ads"
    )
    slots: int = Field(5, ge=1, le=100, description="Products in the file, at most recommend.k")
    min_items: int = Field(3, ge=1, description="Shorter lists are held back as too_few_items")
    skip_unchanged: bool = Field(
        False, description="Hold back as nothing_new whose list is, item by item, the one last exported on this channel"
    )
    format: str = Field("", description="csv and, by kind, txt, jsonl, json or parquet; left out: the kind's first")
    rows: Literal["full", "delta"] = Field(
        "full", description="full: everybody of tonight; delta: only rows that differ from what counts as delivered"
    )
    identifier: str = Field(
        "", description="What the tool knows people by: customer_id, email or phone; left out: the kind's first"
    )
    fields: list[Field_] = Field(
        default_factory=list,
        description="What else is said about a recipient: email, phone, first_name, last_name, language, country, "
        "timezone, choices_applied, send_not_before, send_not_after, run_date; left out: the kind's own",
    )
    moments: list[Literal["recommendations", "check_in"]] = Field(
        default_factory=list,
        description="Which files it makes: recommendations, and check_in where people are to be asked",
    )
    language: LanguageTag | None = Field(
        None, description="Every sentence in this language; left out: in the recipient's own"
    )
    options: dict[str, Any] = Field(
        default_factory=dict, description="What only this kind knows; recsys config lists it under the kind"
    )
    deliver: Deliver | None = Field(
        None, description="Left out: files stay under published/, and a person imports them"
    )

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_kind(cls, given: Any) -> Any:
        kind = kinds.find(given.get("kind")) if isinstance(given, dict) else None
        if kind is None:
            return given
        contact_channel = given.get("contact_channel", kind.contact_channels[0])
        identifier = given.get("identifier", kind.default_identifier(contact_channel))
        defaults = {
            "contact_channel": contact_channel,
            "format": kind.formats[0],
            "identifier": identifier,
            "fields": kind.default_fields(contact_channel, identifier),
            "moments": list(kind.default_moments),
        }
        return defaults | given

    @field_validator("kind")
    @classmethod
    def _known_kind(cls, kind: str) -> str:
        if kinds.find(kind) is None:
            raise ValueError(f"no such kind; allowed: {', '.join(kinds.names())}")
        return kind

    @field_validator("contact_channel", "format", "identifier", "fields", "moments", "options")
    @classmethod
    def _the_kind_allows_it(cls, value: Any, info: ValidationInfo) -> Any:
        kind = kinds.find(info.data.get("kind"))
        if kind is None:
            return value
        if info.field_name == "options":
            try:
                kind.Options(**value)
            except ValidationError as error:
                faults = [
                    f"{'.'.join(map(str, it['loc']))}: "
                    + ("no such option" if it["type"] == "extra_forbidden" else str(it["msg"]))
                    for it in error.errors()
                ]
                known = ", ".join(kind.Options.model_fields) or "none"
                raise ValueError(f"options of {kind.kind}: {'; '.join(faults)}; allowed: {known}") from None
            return value
        allowed = {
            "contact_channel": kind.contact_channels,
            "format": kind.formats,
            "identifier": kind.identifiers,
            "fields": kind.fields,
            "moments": kind.moments,
        }[info.field_name or ""]
        given = value if isinstance(value, list) else [value]
        wrong = [str(one) for one in given if one not in allowed]
        if wrong:
            raise ValueError(
                f"{', '.join(wrong)} does not go with kind {kind.kind}; allowed: {', '.join(allowed) or 'none'}"
            )
        if len(set(given)) < len(given):
            raise ValueError("something is named twice")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> "Channel":
        kind = kinds.kind_of(self.kind)
        if "recommendations" not in self.moments:
            raise ValueError("moments: recommendations is missing; a channel makes at least these")
        if self.rows == "delta":
            if not kind.has_delta:
                raise ValueError(f"rows is 'delta': kind {self.kind} has full files only")
            nightly = sorted(NIGHTLY.intersection(self.fields))
            if nightly:
                raise ValueError(f"rows is 'delta', but {', '.join(nightly)} in fields changes every row every night")
        kind.check(self)
        if self.deliver is not None and self.deliver.api is not None:
            self._fits_the_api(self.deliver.api)
        return self

    def _fits_the_api(self, name: str) -> None:
        """An API takes its own tool's files in one format; of any other it would take none, and deliver nothing."""
        api = APIS[name]
        where = (
            f"channel '{self.name}': deliver.to is 'api:{name}', which takes kind {api.kind} with format {api.format}"
        )
        if not issubclass(kinds.kind_of(self.kind), kinds.kind_of(api.kind)):
            raise ValueError(
                f"{where}, and its kind is '{self.kind}'. Deliver its files to a folder, or leave deliver out and "
                "import them by hand"
            )
        if self.format != api.format:
            raise ValueError(f"{where}, and its format is '{self.format}'. Say format: {api.format}")

    @property
    def carries(self) -> tuple[str, ...]:
        """The recipient's columns that leave: the identifier first, then the fields."""
        return (self.identifier, *(name for name in self.fields if name != self.identifier))

    @property
    def address_kind(self) -> str | None:
        """Which address the files find people by: email, phone, either of them (advertising), or none: ids do."""
        return kinds.kind_of(self.kind).address_kind(self.identifier)

    @property
    def tables(self) -> str:
        """The family of export tables that its files are made from: `sync_<tables>__recipients` and so on."""
        return kinds.kind_of(self.kind).tables

    @property
    def asks(self) -> bool:
        """Whether it makes a check-in file."""
        return "check_in" in self.moments
