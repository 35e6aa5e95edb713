"""The audience of an e-mail tool: address, name and everything a mail shows of each product."""

from recsys.channels.slots import SlotFile


class EmailFile(SlotFile):
    """One row per recipient, with address and product details."""

    kind = "email_file"
    recipient_columns = ("customer_id", "email", "first_name", "language", "country", "choices_applied")
    slot_columns = {  # noqa: RUF012
        "id": "product_id",
        "name": "product_name",
        "reason": "reason",
        "url": "url",
        "image_url": "image_url",
        "price": "price",
        "currency": "currency",
    }
