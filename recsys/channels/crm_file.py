"""The audience of a CRM tool that knows its customers already: ids and recommendations, no addresses or names."""

from recsys.channels.slots import SlotFile


class CrmFile(SlotFile):
    """One row per recipient, without address or name."""

    kind = "crm_file"
    recipient_columns = ("customer_id", "language", "country", "choices_applied")
    slot_columns = {"id": "product_id", "name": "product_name", "reason": "reason"}  # noqa: RUF012
