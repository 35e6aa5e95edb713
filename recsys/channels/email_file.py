"""The audience of an e-mail tool: address, name and everything a mail shows of each product."""

from recsys.channels.slots import SlotFile
from recsys.vocabulary import ContactChannel


class EmailFile(SlotFile):
    """One row per recipient, with address and product details."""

    kind = "email_file"
    tables = "email_file"
    contact_channels = (ContactChannel.EMAIL,)
    identifiers = ("email",)
    fields = ("email", "first_name", "language", "country", "choices_applied", "send_not_before", "send_not_after")
    recipient_columns = (
        "customer_id",
        "email",
        "first_name",
        "language",
        "country",
        "choices_applied",
        "send_not_before",
        "send_not_after",
    )
    slot_columns = {  # noqa: RUF012
        "id": "product_id",
        "name": "product_name",
        "reason": "reason",
        "url": "url",
        "image_url": "image_url",
        "price": "price",
        "currency": "currency",
    }
