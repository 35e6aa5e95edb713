"""Plain words for what the night's tables call by their names. Read by people; each written once."""

from recsys.vocabulary import ContactChannel, Source, Status

STATUS_WORDS: dict[str, tuple[str, str]] = {
    Status.EXPORTED: ("Exported", "May be contacted, and the list is long enough: they are in the file."),
    Status.ERASED: ("Erased", "They asked to be erased: nothing is sent to them any more, whoever they register as."),
    Status.SUPPRESSED: (
        "Opted out or undeliverable",
        "They unsubscribed, complained, asked not to be contacted, or their address bounced.",
    ),
    Status.NO_CONSENT: (
        "No consent",
        "They never agreed to marketing on this channel, or took it back, or another customer with the same address "
        "did. Unknown counts as no.",
    ),
    Status.CONSENT_EXPIRED: ("Consent has ended", "They agreed for a limited time, and that time is over."),
    Status.PAUSED: ("Asked for a pause", "They asked not to be written to until a day that has not passed yet."),
    Status.MINOR: (
        "May be too young",
        "By their year of birth they may be younger than the shop writes to. Nothing about them is used.",
    ),
    Status.INVALID_ADDRESS: ("No usable address", "The address is missing or cannot be one."),
    Status.DUPLICATE_ADDRESS: (
        "Same address as somebody else",
        "Another customer with this address is in the file; one address gets one message.",
    ),
    Status.TOO_FEW_ITEMS: (
        "List too short",
        "Fewer products fit them than the message needs, so they wait for a better night.",
    ),
}

SOURCE_WORDS: dict[str, tuple[str, str]] = {
    Source.INDIVIDUAL: ("Individual", "Chosen for this customer from what they bought and looked at."),
    Source.POPULAR: (
        "Popular",
        "Bought by most people lately; for customers about whom nothing is known yet, or who do not "
        "want it to be used.",
    ),
}

CONTACT_WORDS: dict[str, str] = {
    ContactChannel.EMAIL: "e-mail",
    ContactChannel.SMS: "text message",
    ContactChannel.PUSH: "push message",
    ContactChannel.POST: "letter",
    ContactChannel.ADS: "advertising",
}

ABSENT_WORDS: dict[str, str] = {
    "web_events": "lists rest on orders alone; what people looked at is not known.",
    "identities": "visits before signing up cannot be counted for the customer.",
    "consents": "nobody has agreed to be contacted, so everybody is held back.",
    "suppressions": "opt-outs and bounces are known only as far as consents say so.",
    "preferences": "wishes from a preference centre cannot be followed.",
    "contacts": "messages sent by other tools are not known.",
    "engagements": "opens, clicks and unsubscribes of earlier messages are not known.",
    "editorial": "no places are reserved for editorial picks.",
}

STAGE_WORDS: dict[str, str] = {
    "ingest": "Take in the delivered data",
    "features": "Work out customers, products and permissions",
    "recommend": "Make every customer's list",
    "decide": "Decide who gets it",
    "render": "Write the files",
    "gate": "Check everything before it leaves",
    "export": "Hand over",
    "publish": "Update the analysts' database",
    "report": "Write this page",
}

IMPORT_WORDS: dict[str, tuple[str, ...]] = {
    "email_file": (
        "Import it as CSV: UTF-8, separated by commas, every value in quotes, column names in the first line.",
        "Match people by email. Map rec_1_name, rec_1_reason, rec_1_url, rec_1_image_url, rec_1_price and so on to the "
        "fields of your template.",
        "Update existing profiles only. Do not tick “subscribe” or “has given consent”: the file never "
        "re-subscribes anyone, and your tool's own opt-outs win.",
        "An empty cell means that the customer's list has no product for that place; let the template skip it.",
    ),
    "crm_file": (
        "Import it as CSV: UTF-8, separated by commas, every value in quotes, column names in the first line.",
        "Match people by customer_id; the file holds no addresses.",
        "rec_1_id, rec_1_name, rec_1_reason and so on are for agents' screens and next-best-offer fields.",
    ),
    "catalogue": (
        "Import it first, as the product list: UTF-8, separated by commas, every value in quotes.",
        "Match products by product_id; it holds every product that some row of tonight's files names.",
    ),
}


def contact_words(contact_channel: str) -> str:
    """How people say the contact channel."""
    return CONTACT_WORDS.get(contact_channel, contact_channel)


def stage_words(stage: str) -> str:
    """What a stage does; exports name their channel."""
    kind, _, channel = stage.partition(".")
    words = STAGE_WORDS.get(kind, kind)
    return f"{words}: {channel}" if channel else words
