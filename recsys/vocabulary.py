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
    POPULAR = "popular"


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
    TOO_FEW_ITEMS = "too_few_items"
    EXPORTED = "exported"


class Interaction(StrEnum):
    """Kinds of interaction between a customer and a product."""

    ORDER = "order"
    CART = "cart"
    WISHLIST = "wishlist"
    VIEW = "view"


EVERY_CHANNEL = "all"
"""In suppressions: the statement holds for every contact channel."""
