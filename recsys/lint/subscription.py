"""Fields that subscribe somebody. A nightly file may take a subscription away and never give one."""

import re

from recsys.database import literal
from recsys.lint.roles import canonical

_SUBSCRIBES = re.compile(
    r"(email|push|sms|phone|whatsapp)?(subscribe|subscribed|subscription|subscriptionstate|subscriptionstatus)"
    r"|(is|has)?(opt|opted)in(status|date|time|at|email|sms)?|(is|has)?subscribed(at|toemails?)?|subscriptiongroupstate"
    r"|(email|sms|push|phone|whatsapp)?(marketing)?(consent|consents|consented|consentedat|optin|optedin|permissions?)(at|date|time|timestamp|state|status)?"
    r"|(email)?(opt|opted)in(to)?(email|sms|marketing)?|statusifnew|subscriberstatus|memberstatus|emailmarketingstatus"
    r"|acceptsmarketing|acceptsemailmarketing|newsletter|marketingcontactstatus|hsmarketablestatus|gdpr.*|legalbasis.*|hslegalbasis"
)
_STATUS = re.compile(r"status|state|emailstatus|smsstatus")
_TAKES_AWAY = re.compile(
    r"(is)?(un|de)subscribed(from.*|at)?|(is|has)?(opt|opted)out(of.*|at)?|(hs)?emailoptout.*|(is)?suppressed|donotemail|donotcontact|nomarketing"
)
_NEGATIVE = (
    "", "unsubscribed", "unsubscribe", "opted_out", "opted out", "optedout", "opt_out", "opt-out", "out", "false",
    "no", "n", "0", "never",
    "never_subscribed", "never subscribed", "cleaned", "bounced", "held", "archived", "denied", "withdrawn", "revoked",
    "suppressed", "non-marketing contact", "not applicable",
)  # fmt: skip
_POSITIVE = (
    "subscribed", "subscribe", "active", "pending", "opted_in", "opted in", "optedin", "opt_in", "opt-in", "confirmed",
    "granted",
)  # fmt: skip
_GIVES_BACK = ("false", "no", "n", "0", "subscribed", "opted_in", "active")


def gives_subscription(header: str, cell: str) -> str | None:
    """A predicate that holds for a cell which subscribes its person, by the column's header; None for other columns."""
    name = canonical(header)
    value = f"lower(trim({cell}))"
    if _TAKES_AWAY.fullmatch(name):
        return f"{value} IN ({_list(_GIVES_BACK)})"
    if _SUBSCRIBES.fullmatch(name):
        return f"{value} NOT IN ({_list(_NEGATIVE)})"
    if _STATUS.fullmatch(name):
        return f"{value} IN ({_list(_POSITIVE)})"
    return None


def _list(words: tuple[str, ...]) -> str:
    return ", ".join(map(literal, words))
