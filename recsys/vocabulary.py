"""The words that more than one room uses, each written down once."""

from enum import StrEnum


class ContactChannel(StrEnum):
    """Ways to reach a person; consents and suppressions are given per contact channel."""

    EMAIL = "email"
    SMS = "sms"
    PUSH = "push"
    POST = "post"
    ADS = "ads"


class Source(StrEnum):
    """Where a recommended product came from."""

    INDIVIDUAL = "individual"
    BUY_AGAIN = "buy_again"
    CONTENT = "content"
    POPULAR = "popular"


OF_MODEL = (Source.INDIVIDUAL.value, Source.BUY_AGAIN.value)
"""Sources of products that the model names: their scores compare, and there are reasons for them."""


class Reason(StrEnum):
    """Why a product is recommended, the kind of sentence that says it; the first that holds counts."""

    INTERESTED = "interested"
    DUE = "due"
    FOLLOWS = "follows"
    BOUGHT = "bought"
    LOOKED_AT = "looked_at"
    INDIVIDUAL = "individual"
    POPULAR = "popular"
    POPULAR_DAY = "popular_day"
    RANGE = "range"


class Status(StrEnum):
    """What was decided for one customer, channel and night, in the order the reasons are tried."""

    ERASED = "erased"
    SUPPRESSED = "suppressed"
    NO_CONSENT = "no_consent"
    CONSENT_EXPIRED = "consent_expired"
    PAUSED = "paused"
    MINOR = "minor"
    INVALID_ADDRESS = "invalid_address"
    DUPLICATE_ADDRESS = "duplicate_address"
    NO_SEND_WINDOW = "no_send_window"
    CONTROL = "control"
    CAPPED = "capped"
    TOO_FEW_ITEMS = "too_few_items"
    NOTHING_NEW = "nothing_new"
    EXPORTED = "exported"


class Departure(StrEnum):
    """Why somebody left an audience, where tonight's status does not say it."""

    UNKNOWN_CUSTOMER = "unknown_customer"
    ADDRESS_CHANGED = "address_changed"


class Question(StrEnum):
    """Why a customer is asked about a topic, most important first."""

    AGED = "aged"
    FINISHED = "finished"
    NARROW = "narrow"


class Interaction(StrEnum):
    """Kinds of interaction between a customer and a product."""

    ORDER = "order"
    CART = "cart"
    WISHLIST = "wishlist"
    VIEW = "view"


EVERY_CHANNEL = "all"
"""In suppressions: the statement holds for every contact channel."""
