"""What the product reads: one contract per input table, declared here and nowhere else.

Ingestion casts and checks every row against these; dbt sources, the demo shop and the docs are tested against them.
Moments are UTC, money is DECIMAL, texts are trimmed and never empty.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from recsys.vocabulary import EVERY_CHANNEL, ContactChannel

SqlType = Literal["VARCHAR", "BIGINT", "DECIMAL(18,4)", "BOOLEAN", "TIMESTAMP", "DATE", "INTEGER", "VARCHAR[]"]

CHANNELS = tuple(channel.value for channel in ContactChannel)


@dataclass(frozen=True)
class Column:
    """One column: its type, and the values that are allowed in it."""

    name: str
    type: SqlType
    description: str
    required: bool = False
    minimum: Decimal | int | None = None
    maximum: Decimal | int | None = None
    allowed: tuple[str, ...] = ()
    pattern: str | None = None
    """A regular expression (RE2) that the whole value must match."""
    personal: bool = False
    never_lost: bool = False
    """Empty means something permissive here, so an expression that makes nothing out of a filled cell is a fault."""


@dataclass(frozen=True)
class Contract:
    """One input table: grain, key and columns.

    `key` set: one row per key, and the newest file's row wins. `key` empty: rows are statements or lines without an
    identity of their own; the same row in several files counts as often as in the file that has it most often.
    `moment` names the column that places a row in time; rows at or after the night's end are not read that night, rows
    without a moment are.
    `any_of` lists groups of columns of which at least one must be filled.
    """

    name: str
    grain: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    moment: str | None = None
    version: str | None = None
    """Column that says which of two rows of one key is newer, before the file's date is asked."""
    any_of: tuple[tuple[str, ...], ...] = ()
    required: bool = False
    tolerates_bad_rows: bool = True
    """False for permission tables: a single bad row stops the night."""
    forbidden: tuple[tuple[str, str, str], ...] = ()
    """Column, reason and SQL condition of what no row may be as a whole."""
    binding_early: str | None = None
    """SQL condition on rows that count as soon as they are known, even when they are dated after the night's end."""

    def column(self, name: str) -> Column:
        """The column of that name; KeyError when the contract has none."""
        return {column.name: column for column in self.columns}[name]

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)


_ID_PATTERN = r"[^\x00-\x1f\x7f]{1,255}"


def _id(name: str, description: str, *, required: bool = False, personal: bool = False) -> Column:
    return Column(name, "VARCHAR", description, required=required, pattern=_ID_PATTERN, personal=personal)


def _moment(name: str, description: str, *, required: bool = False) -> Column:
    return Column(name, "TIMESTAMP", description + " (UTC)", required=required)


CONTRACTS: dict[str, Contract] = {
    contract.name: contract
    for contract in (
        Contract(
            name="customers",
            grain="one customer",
            key=("customer_id",),
            version="updated_at",
            moment="created_at",
            required=True,
            columns=(
                _id("customer_id", "The company's own id of a customer", required=True, personal=True),
                Column("email", "VARCHAR", "E-mail address as the customer gave it", personal=True),
                Column("phone", "VARCHAR", "Phone number, E.164", personal=True),
                Column("first_name", "VARCHAR", "Given name", personal=True),
                Column("last_name", "VARCHAR", "Family name", personal=True),
                Column("country", "VARCHAR", "Country, ISO 3166-1 alpha-2", pattern="[A-Z]{2}"),
                Column("language", "VARCHAR", "Language, BCP 47", pattern="[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*"),
                Column("timezone", "VARCHAR", "Time zone, IANA name", pattern="[A-Za-z_]+(/[A-Za-z0-9_+-]+)*"),
                Column("birth_year", "INTEGER", "Year of birth", minimum=1900, maximum=2100, personal=True),
                _moment("created_at", "When the customer record was made"),
                _moment("updated_at", "When the customer record last changed"),
            ),
        ),
        Contract(
            name="products",
            grain="one product",
            key=("product_id",),
            required=True,
            columns=(
                _id("product_id", "The company's own id of a product", required=True),
                Column("name", "VARCHAR", "Name as customers see it", required=True),
                Column("category", "VARCHAR", "Category path, general to special: a > b > c"),
                Column("brand", "VARCHAR", "Brand"),
                Column("price", "DECIMAL(18,4)", "Price in units of currency", minimum=0),
                Column("currency", "VARCHAR", "Currency, ISO 4217", pattern="[A-Z]{3}"),
                Column("url", "VARCHAR", "Product page", pattern="https?://.*"),
                Column("image_url", "VARCHAR", "Picture", pattern="https?://.*"),
                Column("is_active", "BOOLEAN", "Is part of the range; empty counts as no"),
                Column("in_stock", "BOOLEAN", "Can be delivered; empty counts as no"),
                _moment("launched_at", "When it was first offered"),
                Column("replenishable", "BOOLEAN", "Is used up and bought again; empty counts as no"),
                Column("sensitive", "BOOLEAN", "Reveals something nobody should be reminded of; empty counts as no"),
                Column("tags", "VARCHAR[]", "Words that describe it"),
            ),
        ),
        Contract(
            name="order_lines",
            grain="one line of an order",
            moment="ordered_at",
            any_of=(("customer_id", "visitor_id"),),
            required=True,
            columns=(
                _id("order_id", "The order", required=True),
                _id("customer_id", "Who ordered, when known", personal=True),
                _id("visitor_id", "Who ordered, when only a visitor is known", personal=True),
                _id("product_id", "What was ordered", required=True),
                Column(
                    "quantity",
                    "BIGINT",
                    "How many; negative is a return",
                    required=True,
                    minimum=-(10**6),
                    maximum=10**6,
                ),
                Column("unit_price", "DECIMAL(18,4)", "Price of one, in units of currency", minimum=0, maximum=10**8),
                _moment("ordered_at", "When it was ordered", required=True),
            ),
        ),
        Contract(
            name="web_events",
            grain="one event",
            key=("event_id",),
            moment="occurred_at",
            any_of=(("visitor_id", "customer_id"),),
            columns=(
                _id("event_id", "The event", required=True),
                _id("visitor_id", "Who, as the browser or app knows it", personal=True),
                _id("customer_id", "Who, when signed in", personal=True),
                _id("product_id", "Which product it was about"),
                Column(
                    "event_type",
                    "VARCHAR",
                    "What happened",
                    required=True,
                    allowed=("view", "cart", "wishlist", "search"),
                ),
                _moment("occurred_at", "When it happened", required=True),
            ),
        ),
        Contract(
            name="identities",
            grain="one link seen between a visitor and a customer",
            moment="seen_at",
            columns=(
                _id("visitor_id", "Visitor", required=True, personal=True),
                _id("customer_id", "Customer the visitor turned out to be", required=True, personal=True),
                _moment("seen_at", "When the link was seen", required=True),
            ),
        ),
        Contract(
            name="consents",
            grain="one statement",
            moment="occurred_at",
            tolerates_bad_rows=False,
            binding_early="status <> 'granted'",
            columns=(
                _id("customer_id", "Whose statement", required=True, personal=True),
                Column("channel", "VARCHAR", "For which contact channel", required=True, allowed=CHANNELS),
                Column(
                    "purpose", "VARCHAR", "For what purpose", required=True, allowed=("marketing", "personalisation")
                ),
                Column("status", "VARCHAR", "What was said", required=True, allowed=("granted", "denied", "withdrawn")),
                _moment("occurred_at", "When it was said", required=True),
                Column("valid_until", "TIMESTAMP", "When it ends by itself; empty means never (UTC)", never_lost=True),
                Column("source", "VARCHAR", "Where it was said"),
            ),
        ),
        Contract(
            name="suppressions",
            grain="one statement",
            moment="occurred_at",
            any_of=(("customer_id", "email", "phone"),),
            forbidden=(
                (
                    "phone",
                    "no_country_code",  # such a number is nobody's, and nothing else says whom the row is about
                    "customer_id IS NULL AND email IS NULL "
                    r"AND NOT regexp_matches(phone, '^[ ()./-]*(\+|0[ ()./-]*0)')",
                ),
            ),
            tolerates_bad_rows=False,
            binding_early="true",
            columns=(
                _id("customer_id", "Whom it is about", personal=True),
                Column("email", "VARCHAR", "Or which e-mail address", pattern=r"[^<>,;:\"]+", personal=True),
                Column(
                    "phone",
                    "VARCHAR",
                    "Or which phone number, with country code",
                    pattern=r"[+0-9 ()./-]{4,}",
                    personal=True,
                ),
                Column(
                    "channel",
                    "VARCHAR",
                    "For which contact channel, or all",
                    required=True,
                    allowed=(*CHANNELS, EVERY_CHANNEL),
                ),
                Column(
                    "reason",
                    "VARCHAR",
                    "Why",
                    required=True,
                    allowed=("unsubscribe", "hard_bounce", "complaint", "do_not_contact", "erased"),
                ),
                _moment("occurred_at", "Since when", required=True),
            ),
        ),
        Contract(
            name="preferences",
            grain="one choice",
            moment="occurred_at",
            binding_early="choice IN ('not_interested', 'less_like_this')",
            columns=(
                _id("customer_id", "Whose choice", required=True, personal=True),
                Column("topic", "VARCHAR", "Category or tag it is about", required=True),
                Column(
                    "choice",
                    "VARCHAR",
                    "What was chosen",
                    required=True,
                    allowed=("interested", "not_interested", "pause_until", "less_like_this"),
                ),
                Column("value", "VARCHAR", "What the choice needs besides, a date for pause_until"),
                _moment("occurred_at", "When it was chosen", required=True),
            ),
        ),
        Contract(
            name="contacts",
            grain="one message sent by any tool",
            key=("message_id",),
            moment="sent_at",
            columns=(
                _id("message_id", "The message", required=True),
                _id("customer_id", "To whom", required=True, personal=True),
                Column("channel", "VARCHAR", "Over which contact channel", required=True, allowed=CHANNELS),
                Column("campaign", "VARCHAR", "As part of what"),
                _moment("sent_at", "When it was sent", required=True),
            ),
        ),
        Contract(
            name="engagements",
            grain="one reaction",
            moment="occurred_at",
            binding_early="event_type IN ('unsubscribe', 'complaint', 'bounce')",
            columns=(
                _id("message_id", "The message it reacts to", required=True),
                Column(
                    "event_type",
                    "VARCHAR",
                    "What happened",
                    required=True,
                    allowed=("open", "click", "unsubscribe", "complaint", "bounce"),
                ),
                _id("product_id", "Which product was clicked"),
                _moment("occurred_at", "When it happened", required=True),
            ),
        ),
        Contract(
            name="editorial",
            grain="one slot booking",
            any_of=(("product_id", "content_id"),),
            columns=(
                _id("product_id", "Booked product"),
                _id("content_id", "Or booked content"),
                Column("starts_on", "DATE", "First day", required=True),
                Column("ends_on", "DATE", "Last day", required=True),
                Column("share", "DECIMAL(18,4)", "Share of the audience", minimum=0, maximum=1),
            ),
        ),
    )
}
