"""Plain words for what the night's tables call by their names. Read by people; each written once."""

from recsys.delivery.journal import Outcome
from recsys.vocabulary import ContactChannel, Departure, Question, Reason, Source, Status

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
    Status.NO_SEND_WINDOW: (
        "No time to send it",
        "Outside the quiet hours of every time zone they may live in, no time of the day is left; or it is a text "
        "message, and nothing is known of their time.",
    ),
    Status.CONTROL: (
        "Control group",
        "Kept back on purpose, always the same customers, to see what the messages change.",
    ),
    Status.CAPPED: (
        "Had enough messages",
        "A cap on messages is reached: every tool's count, our own earlier ones, and those of tonight's first "
        "audiences.",
    ),
    Status.TOO_FEW_ITEMS: (
        "List too short",
        "Fewer products fit them than the message needs, so they wait for a better night.",
    ),
    Status.NOTHING_NEW: ("Nothing new", "Their list is, product by product, the one they were last sent."),
}

DEPARTURE_WORDS: dict[str, str] = {
    Departure.UNKNOWN_CUSTOMER: "Not a customer any more",
    Departure.ADDRESS_CHANGED: "Address has changed",
}
"""Why somebody left an audience, where it is not the words of tonight's status."""

QUESTION_WORDS: dict[str, tuple[str, str]] = {
    Question.AGED: ("Does it still interest you?", "They said so themselves, so long ago that it hardly counts now."),
    Question.FINISHED: ("Are you done with it?", "They bought it, and hardly anybody comes back to it after that."),
    Question.NARROW: ("Would you like something else, too?", "Most of what they were sent lately is of one category."),
}
"""What a check-in asks, and why."""

SOURCE_WORDS: dict[str, tuple[str, str]] = {
    Source.INDIVIDUAL: ("Individual", "New to this customer, chosen from what they bought and looked at."),
    Source.BUY_AGAIN: ("Buy again", "Bought by this customer before, used up and due again, or perhaps so."),
    Source.CONTENT: ("Stated interest", "Popular, and of a topic that this customer said they are interested in."),
    Source.POPULAR: (
        "Popular",
        "Bought by most people lately; for customers about whom nothing is known yet, or who do not "
        "want it to be used.",
    ),
}

CHOICE_WORDS: dict[str, str] = {
    "not_interested": "not interested",
    "less_like_this": "less like this",
    "interested": "interested",
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
    "deliver": "Deliver",
    "evaluate": "Measure what such lists were worth",
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
        "choices_applied says which of the customer's own choices shaped the list; you may show it beside a link to "
        "your preference centre.",
    ),
    "crm_file": (
        "Import it as CSV: UTF-8, separated by commas, every value in quotes, column names in the first line.",
        "Match people by customer_id; the file holds no addresses.",
        "rec_1_id, rec_1_name, rec_1_reason and so on are for agents' screens and next-best-offer fields.",
    ),
    "check_in": (
        "Ask these people once: nobody is in another check-in for a while. Ask about topic_1 first; reason_1 is the "
        "question.",
        "Who is in tonight's file of the same channel gets the question in the same message; for the others it is a "
        "message of its own.",
        "Bring the answers back as preferences (interested, not_interested); the next night follows them.",
    ),
    "catalogue": (
        "Import it first, as the product list: UTF-8, separated by commas, every value in quotes.",
        "Match products by product_id; it holds every product that some row of tonight's files names.",
    ),
}


OUTCOME_WORDS: dict[str, tuple[str, str]] = {
    Outcome.ACKNOWLEDGED: ("Delivered", "The target has confirmed it."),
    Outcome.IN_DOUBT: (
        "In doubt",
        "Nobody knows whether it arrived. It is not sent again: look there, then say so with `recsys redeliver`.",
    ),
    Outcome.FAILED: (
        "Not delivered",
        "It is certainly not there. `recsys redeliver` sends it once the cause is mended.",
    ),
    Outcome.DECLINED: (
        "Declined",
        "The tool does not take this record, and took others; published/ledger/errors/ says why. Tomorrow's file tries "
        "anew.",
    ),
    Outcome.PENDING: ("Not delivered yet", "It has not left."),
}
"""What is known about a part of a delivery."""


def reason_words(reason: str, kind: str | None, share: float | None) -> str:
    """Why a product is recommended, and how much of what speaks for it that is: "Because you bought Green (61 %)"."""
    is_own = kind in {Reason.BOUGHT.value, Reason.LOOKED_AT.value}
    return f"{reason} ({100 * share:.0f} %)" if is_own and share is not None else reason


def departure_words(reason: str) -> str:
    """Why somebody left an audience, in words."""
    return DEPARTURE_WORDS.get(reason) or STATUS_WORDS.get(reason, (reason, ""))[0]


def contact_words(contact_channel: str) -> str:
    """How people say the contact channel."""
    return CONTACT_WORDS.get(contact_channel, contact_channel)


def stage_words(stage: str) -> str:
    """What a stage does; exports name their channel."""
    kind, _, channel = stage.partition(".")
    words = STAGE_WORDS.get(kind, kind)
    return f"{words}: {channel}" if channel else words
