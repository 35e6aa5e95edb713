"""Google Customer Match: hashed e-mail addresses and phone numbers, as a CSV that Google Ads imports.

Upload the personalised file as data of people who granted ad_user_data and ad_personalization, the other as of people
who granted ad_user_data alone. Names are left out: Google matches them only together with country and postcode, and the
latter is not known. Membership ends after 540 days, also of who is still in the audience: with `rows: delta` import a
full file (`rows: full` for one night) more often than that.
"""

from typing import ClassVar

from recsys.channels.hashed_audience import HashedAudience
from recsys.channels.parts import Limits

MAX_IDENTIFIERS = 100_000
"""In one offline job."""


class GoogleCustomerMatch(HashedAudience):
    """`Email` and `Phone`, hashed by Google's rules."""

    kind = "google_customer_match"
    headings: ClassVar[dict[str, str]] = {"email": "Email", "phone": "Phone"}
    limits = Limits(rows=MAX_IDENTIFIERS // 2)
    steps = (
        "Google Ads, Audience manager, your Customer Match list: upload both remove files first, as people to remove.",
        "Upload the personalised file as hashed data; these people granted ad_user_data and ad_personalization.",
        "Upload the unpersonalised file by itself; these people granted ad_user_data alone.",
        "Membership ends after 540 days: import a full file at least once a year.",
    )

    @property
    def hash_forms(self) -> dict[str, str]:
        return {"email": "google_email", "phone": "google_phone"}
