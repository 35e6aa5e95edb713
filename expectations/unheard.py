"""What customers may have said without being heard: suppressions and reactions that lead to nobody."""

import polars as pl

from expectations.findings import warning
from expectations.permission import SAME, Permissions, reactions
from recsys.audit import Check
from recsys.night import Night

SUITE = "unheard"


def check(night: Night, permissions: Permissions) -> list[Check]:
    """Two warnings. A list that was mapped to the wrong columns reads without a fault and suppresses nobody."""
    listed = permissions.suppressions.filter("is_listed")
    people = permissions.customers
    unmatched = listed
    for key in ("customer_id", *SAME.values()):
        unmatched = unmatched.join(people.select(key).drop_nulls(), on=key, how="anti")
    allowed = night.shop.permission.max_share_of_nobody
    share = unmatched.height / listed.height if listed.height else 0.0
    reacted = reactions(night)
    unknown = reacted.filter(pl.col("channel").is_null()).height
    return [
        warning(
            SUITE,
            "suppressions_match_customers",
            passed=share <= allowed,
            detail=f"{unmatched.height:,} of {listed.height:,} suppressions match no customer ({share:.1%}, "
            f"allowed {allowed:.0%}: permission.max_share_of_nobody)",
        ),
        warning(
            SUITE,
            "reactions_match_messages",
            passed=unknown == 0,
            detail=f"{unknown:,} of {reacted.height:,} unsubscribes, complaints and bounces react to messages that are "
            "not in contacts",
        ),
    ]
