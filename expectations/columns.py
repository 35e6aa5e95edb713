"""The columns that each table and each finished file may have, in order. A column that is not here does not leave."""

from recsys.channel_settings import Channel
from recsys.config import Shop

RECOMMENDATIONS = (
    *("run_date", "customer_id", "rank", "product_id", "source", "score", "model_version"),
    *("because", "topic"),
)
CATALOGUE = ("product_id", "name", "category", "brand", "price", "currency", "url", "image_url")
TABLES: dict[str, tuple[str, ...]] = {
    "fct_recommendations": (
        "run_date",
        "customer_id",
        "rank",
        "product_id",
        "source",
        *("reason", "reason_kind", "reason_about", "because_product_id", "because_share"),
        *("model_version", "score"),
    ),
    "fct_decisions": ("run_date", "customer_id", "channel", "contact_channel", "status", "reason", "items"),
    "sync_email_file__recipients": (
        *("channel", "customer_id", "email", "first_name", "language", "country"),
        *("choices_applied", "send_not_before", "send_not_after"),
    ),
    "sync_email_file__items": (
        "channel",
        "customer_id",
        "rank",
        "product_id",
        "product_name",
        *("reason", "reason_kind", "reason_about"),
        "url",
        "image_url",
        "price",
        "currency",
    ),
    "sync_email_file__removals": ("channel", "customer_id", "email", "left_since", "reason"),
    "sync_crm_file__recipients": (
        *("channel", "customer_id", "language", "country"),
        *("choices_applied", "send_not_before", "send_not_after"),
    ),
    "sync_crm_file__items": (
        *("channel", "customer_id", "rank", "product_id", "product_name"),
        *("reason", "reason_kind", "reason_about"),
    ),
    "sync_crm_file__removals": ("channel", "customer_id", "left_since", "reason"),
    "sync_tool__recipients": (
        *("channel", "customer_id", "email", "phone", "first_name", "last_name", "language", "country", "timezone"),
        *("choices_applied", "send_not_before", "send_not_after", "may_personalise"),
    ),
    "sync_tool__items": (
        *("channel", "customer_id", "rank", "product_id", "product_name"),
        *("reason", "reason_kind", "reason_about", "url", "image_url", "price", "currency"),
    ),
    "sync_tool__removals": ("channel", "customer_id", "email", "phone", "left_since", "reason"),
    "sync_tool__held": ("channel", "customer_id", "email", "phone", "row_sha", "is_everywhere"),
    "fct_removals": ("run_date", "customer_id", "channel", "contact_channel", "address", "left_since", "reason"),
    "fct_check_ins": ("run_date", "customer_id", "channel", "contact_channel", "rank", "topic", "why", "reason"),
    "sync_check_in__recipients": (
        *("channel", "customer_id", "email", "phone", "first_name", "language", "country"),
        *("send_not_before", "send_not_after"),
    ),
    "sync_check_in__topics": ("channel", "customer_id", "rank", "topic", "why", "reason"),
    "sync_catalogue__products": CATALOGUE,
}
"""The tables below decisions/."""

PLAIN = ("email_file", "crm_file")
"""Kinds whose files have our own columns; those of the others are the tools' and are read by `tool_readers`."""

FILE_HEAD = {
    "email_file": (
        *("customer_id", "email", "first_name", "language", "country"),
        *("choices_applied", "send_not_before", "send_not_after", "run_date"),
    ),
    "crm_file": (
        *("customer_id", "language", "country"),
        *("choices_applied", "send_not_before", "send_not_after", "run_date"),
    ),
}
FILE_SLOT = {
    "email_file": ("id", "name", "reason", "url", "image_url", "price", "currency"),
    "crm_file": ("id", "name", "reason"),
}
REMOVE_FILE = {
    "email_file": ("customer_id", "email", "left_since", "reason"),
    "crm_file": ("customer_id", "left_since", "reason"),
}
"""The columns of the file about those who left; that of cleared rows has the audience's own."""
CHECK_IN_HEAD = {
    "email_file": (
        *("customer_id", "email", "first_name", "language", "country"),
        *("send_not_before", "send_not_after", "run_date"),
    ),
    "crm_file": ("customer_id", "language", "country", "send_not_before", "send_not_after", "run_date"),
}
FREE_TEXT = frozenset({"first_name", "choices_applied", "name", "reason", "category", "brand"})
"""Cells that people outside the company can have written into, by column or by part of a slot."""


def slot_column(slot: int, part: str) -> str:
    """Name of one part of one slot in a finished file, as in rec_1_id."""
    return f"rec_{slot}_{part}"


def file_columns(channel: Channel) -> tuple[str, ...]:
    """The columns of a channel's finished file for the configured number of slots."""
    slots = (slot_column(slot, part) for slot in range(1, channel.slots + 1) for part in FILE_SLOT[channel.kind])
    return (*FILE_HEAD[channel.kind], *slots)


def channels_of(shop: Shop, kind: str) -> list[Channel]:
    """The configured channels of one kind."""
    return [channel for channel in shop.channels if channel.kind == kind]


def plain_channels(shop: Shop) -> list[Channel]:
    """The configured channels whose files have our own columns."""
    return [channel for channel in shop.channels if channel.kind in PLAIN]


def tool_channels(shop: Shop) -> list[Channel]:
    """The configured channels of tools."""
    return [channel for channel in shop.channels if channel.kind not in PLAIN]


def check_in_file(channel: Channel, topics: int) -> tuple[str, ...]:
    """The columns of a channel's check-in file for the configured number of topics."""
    slots = (f"{part}_{topic}" for topic in range(1, topics + 1) for part in ("topic", "why", "reason"))
    return (*CHECK_IN_HEAD[channel.kind], *slots)


def columns_of(shop: Shop, name: str) -> tuple[str, ...]:
    """The columns of a finished file of our own, by its name without the date."""
    for channel in plain_channels(shop):
        if name == f"{channel.name}_remove":
            return REMOVE_FILE[channel.kind]
        if name == f"check_in_{channel.name}":
            return check_in_file(channel, shop.check_in.topics)
        if name in {channel.name, f"{channel.name}_clear"}:
            return file_columns(channel)
    return CATALOGUE
