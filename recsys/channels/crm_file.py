"""The audience of a CRM tool that knows its customers already: ids and recommendations, no addresses or names."""

from recsys.channels.slots import SlotFile


class CrmFile(SlotFile):
    """One row per recipient, without address or name."""

    kind = "crm_file"
    tables = "crm_file"
    fields = ("language", "country", "choices_applied", "send_not_before", "send_not_after")
    recipient_columns = (
        *("customer_id", "language", "country"),
        *("choices_applied", "send_not_before", "send_not_after"),
    )
    slot_columns = {"id": "product_id", "name": "product_name", "reason": "reason"}  # noqa: RUF012
