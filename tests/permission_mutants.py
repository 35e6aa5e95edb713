"""Each rule about permission, broken on purpose: one small change of one file of the dbt project each.

To add one: what is broken, the rule of docs/decisions/permission.md that it breaks, the file below dbt_project, the
text that stands there exactly once, and what stands there instead.
"""

from dataclasses import dataclass
from pathlib import Path

FEATURES = "models/intermediate/features"
DECIDE = "models/intermediate/decide"
MARKETING = "models/marts/marketing"
SHOP = "models/staging/shop"


class DoesNotApply(Exception):
    """The text to change is not there exactly once: the model has changed, so the mutant has to."""


@dataclass(frozen=True)
class Mutant:
    """A change of one file of the dbt project that breaks one rule."""

    name: str
    rule: str
    file: str
    old: str
    new: str

    def applied(self, project: Path) -> str:
        """The file's text with the change. Raises DoesNotApply."""
        text = (project / self.file).read_text(encoding="utf-8")
        if text.count(self.old) != 1:
            raise DoesNotApply(
                f"{self.name}: {self.old!r} stands {text.count(self.old)} times in {self.file}, not once"
            )
        return text.replace(self.old, self.new)


def _consents(name: str, rule: str, old: str, new: str) -> Mutant:
    return Mutant(name, rule, f"{FEATURES}/int_consents__current.sql", old, new)


def _contact(name: str, rule: str, old: str, new: str) -> Mutant:
    return Mutant(name, rule, f"{MARKETING}/customer_contactability.sql", old, new)


def _suppressions(name: str, rule: str, old: str, new: str) -> Mutant:
    return Mutant(name, rule, f"{FEATURES}/int_suppressions__matched.sql", old, new)


def _permitted(name: str, rule: str, old: str, new: str) -> Mutant:
    return Mutant(name, rule, f"{FEATURES}/int_customers__permitted.sql", old, new)


def _pauses(name: str, rule: str, old: str, new: str) -> Mutant:
    return Mutant(name, rule, f"{FEATURES}/int_preferences__paused.sql", old, new)


def _claims(name: str, rule: str, old: str, new: str) -> Mutant:
    return Mutant(name, rule, f"{DECIDE}/int_addresses__claimed.sql", old, new)


def _matches(name: str, rule: str, old: str, new: str) -> Mutant:
    return Mutant(name, rule, f"{FEATURES}/int_customers__matched.sql", old, new)


def _reactions(name: str, rule: str, old: str, new: str) -> Mutant:
    return Mutant(name, rule, f"{FEATURES}/int_engagements__suppressed.sql", old, new)


def _ids(name: str, rule: str, old: str, new: str) -> Mutant:
    return Mutant(name, rule, f"{FEATURES}/int_visitors__resolved.sql", old, new)


def _late(name: str, table: str, moment: str = "occurred_at") -> Mutant:
    source = f"from {{{{ source('shop', '{table}') }}}}"
    inside = f"{source} where {moment} < timestamp '2026-04-01'"
    return Mutant(name, "a no counts as soon as it is known", f"{SHOP}/stg_shop__{table}.sql", source, inside)


NEWEST = "the newest statement counts"
STRICTEST = "of statements at one moment the strictest counts"
UNKNOWN = "unknown means no"
LINKED = "a no under another id of a customer is theirs, a consent is not"
EXPIRY = "a consent that is over by the night's end is none"
SUPPRESSED = "a suppression names the customer by id, e-mail address or phone number"
REACTED = "unsubscribes, complaints and bounces suppress the message's contact channel"
OBJECTED = "what one record objects to holds for the address"
MAILBOX = "a no holds for every spelling of a mailbox"
PAUSED = "the newest pause counts, through its day, and without a readable day for ever"
MINOR = "who may still be younger is a minor; an unknown year is not a minor's"
ADDRESS = "only a valid address is written to"
ONE_MESSAGE = "one person, one message: updated last, then the smaller id"
FIRST_REASON = "the first reason in the documented order is given"
PERSONAL = "behaviour is used only with a current consent that nothing contradicts"
NOT_LEARNT = "what the others do is used nowhere"
AUDIENCE = "an advertising audience is matched by either address: one valid one will do, one objection is enough"
NEAREST = "an id leads to the nearest customer; of several the link seen last, then the smaller id"

MUTANTS: tuple[Mutant, ...] = (
    _consents(
        "granted wins a tie",
        STRICTEST,
        "when 'withdrawn' then 1 when 'denied' then 2 when 'granted' then 3",
        "when 'granted' then 1 when 'denied' then 2 when 'withdrawn' then 3",
    ),
    _consents("the longest consent wins a tie", STRICTEST, "valid_until nulls last", "valid_until desc nulls first"),
    _consents("the oldest statement counts", NEWEST, "occurred_at desc,", "occurred_at,"),
    _consents(
        "one purpose answers for the other",
        NEWEST,
        "partition by customer_id, channel, purpose",
        "partition by customer_id, channel",
    ),
    _consents("a linked refusal is ignored", LINKED, "where consents.status <> 'granted'", "where false"),
    _consents("a linked consent counts", LINKED, "where consents.status <> 'granted'", "where true"),
    _consents(
        "a linked denial is ignored",
        LINKED,
        "where consents.status <> 'granted'",
        "where consents.status = 'withdrawn'",
    ),
    _late("an early refusal waits", "consents"),
    _late("an early suppression waits", "suppressions"),
    _late("an early reaction waits", "engagements"),
    _contact(
        "silence is consent",
        UNKNOWN,
        "coalesce(consents.status = 'granted', false) as is_granted",
        "coalesce(consents.status = 'granted', true) as is_granted",
    ),
    _consents(
        "a denial is a consent",
        UNKNOWN,
        "status,\n        occurred_at,\n        valid_until\n    from",
        "replace(status, 'denied', 'granted') as status,\n        occurred_at,\n        valid_until\n    from",
    ),
    _contact(
        "consent to personalisation allows contact",
        UNKNOWN,
        "where purpose = 'marketing'",
        "where purpose = 'personalisation'",
    ),
    _contact(
        "consent by e-mail holds everywhere",
        UNKNOWN,
        "and contact_channels.contact_channel = consents.contact_channel",
        "and consents.contact_channel = 'email'",
    ),
    _contact(
        "consents never end",
        EXPIRY,
        "consents.valid_until is null or consents.valid_until > settings.night_end as is_unexpired",
        "true as is_unexpired",
    ),
    _contact(
        "a consent that ends with the night still holds",
        EXPIRY,
        "consents.valid_until > settings.night_end as is_unexpired",
        "consents.valid_until >= settings.night_end as is_unexpired",
    ),
    _contact(
        "suppressions are ignored",
        SUPPRESSED,
        "suppressions.customer_id is not null as is_suppressed",
        "false as is_suppressed",
    ),
    _suppressions(
        "suppression by id is ignored",
        SUPPRESSED,
        "inner join ids on suppressions.customer_id = ids.id",
        "inner join ids on suppressions.customer_id = ids.id and false",
    ),
    _suppressions(
        "suppression under a linked id is ignored",
        LINKED,
        "inner join ids on suppressions.customer_id = ids.id",
        "inner join ids on suppressions.customer_id = ids.id and ids.id = ids.customer_id",
    ),
    _suppressions(
        "suppression by e-mail address is ignored",
        SUPPRESSED,
        "addresses.contact_channel = 'email'",
        "addresses.contact_channel = 'nothing'",
    ),
    _suppressions(
        "suppression by phone number is ignored",
        SUPPRESSED,
        "addresses.contact_channel = 'sms'",
        "addresses.contact_channel = 'nothing'",
    ),
    _suppressions(
        "suppressed addresses are compared as typed",
        SUPPRESSED,
        "{{ mailbox(normalised_email('email')) }} as mailbox",
        "email as mailbox",
    ),
    _suppressions(
        "a suppression names one spelling of a mailbox",
        MAILBOX,
        "{{ mailbox(normalised_email('email')) }} as mailbox",
        "{{ normalised_email('email') }} as mailbox",
    ),
    _suppressions(
        "suppressed numbers are compared as typed", SUPPRESSED, "{{ normalised_phone('phone') }} as phone", "phone"
    ),
    _suppressions(
        "suppression for all channels is ignored",
        SUPPRESSED,
        "matches.channel in ('all', contact_channels.contact_channel)",
        "matches.channel = contact_channels.contact_channel",
    ),
    _suppressions(
        "every suppression holds for all channels",
        SUPPRESSED,
        "matches.channel in ('all', contact_channels.contact_channel)",
        "true",
    ),
    _suppressions(
        "suppression everywhere is no objection to personalisation",
        PERSONAL,
        "bool_or(matches.channel = 'all')",
        "bool_or(false)",
    ),
    _reactions(
        "unsubscribing is ignored", REACTED, "('unsubscribe', 'complaint', 'bounce')", "('complaint', 'bounce')"
    ),
    _reactions(
        "complaining is ignored", REACTED, "('unsubscribe', 'complaint', 'bounce')", "('unsubscribe', 'bounce')"
    ),
    _reactions(
        "bouncing is ignored", REACTED, "('unsubscribe', 'complaint', 'bounce')", "('unsubscribe', 'complaint')"
    ),
    _reactions(
        "reactions count for e-mail only", REACTED, "contacts.channel as contact_channel", "'email' as contact_channel"
    ),
    _contact("objections hold for the record only", OBJECTED, "objected.address is not null", "false"),
    Mutant(
        "a denial is no objection at an address",
        OBJECTED,
        f"{FEATURES}/int_addresses__objected.sql",
        "status in ('withdrawn', 'denied')",
        "status = 'withdrawn'",
    ),
    Mutant(
        "a suppression is no objection at an address",
        OBJECTED,
        f"{FEATURES}/int_addresses__objected.sql",
        "select customer_id, contact_channel from suppressions",
        "select customer_id, contact_channel from suppressions where false",
    ),
    Mutant(
        "a refusal of personalisation objects at the address",
        OBJECTED,
        f"{FEATURES}/int_addresses__objected.sql",
        "where purpose = 'marketing' and status",
        "where status",
    ),
    Mutant(
        "addresses are compared with capitals",
        OBJECTED,
        "macros/addresses.sql",
        "nullif(lower(regexp_replace(",
        "nullif(trim(regexp_replace(",
    ),
    _matches(
        "an objection holds for one spelling of a mailbox", MAILBOX, "{{ mailbox('address') }} as address", "address"
    ),
    Mutant(
        "what follows a + is another mailbox",
        MAILBOX,
        "macros/addresses.sql",
        "'[+].*|[.]', '', 'g'",
        "'[.]', '', 'g'",
    ),
    Mutant(
        "googlemail.com is not gmail.com",
        MAILBOX,
        "macros/addresses.sql",
        "            '@gmail.com'\n",
        "            '@', split_part({{ column }}, '@', 2)\n",
    ),
    _contact(
        "objections to advertising hold for the record only",
        AUDIENCE,
        "objected.address is not null",
        "objected.address is not null and matched.contact_channel <> 'ads'",
    ),
    _contact(
        "both addresses must be objected to",
        AUDIENCE,
        "bool_or(objected.address is not null)",
        "bool_and(objected.address is not null)",
    ),
    _contact(
        "one objection closes every contact channel of an address",
        AUDIENCE,
        "on matched.contact_channel = objected.contact_channel\n        and matched.address_kind",
        "on matched.address_kind",
    ),
    _matches(
        "an advertising audience is matched by e-mail address alone",
        AUDIENCE,
        "is_valid from addresses\n\n",
        "is_valid from addresses where address_kind = 'email'\n\n",
    ),
    _contact(
        "an advertising audience needs no address",
        AUDIENCE,
        "contact_channels.contact_channel in ('push', 'post')",
        "contact_channels.contact_channel in ('push', 'post', 'ads')",
    ),
    _contact("both addresses must be valid", AUDIENCE, "bool_or(matched.is_valid)", "bool_and(matched.is_valid)"),
    Mutant(
        "an advertising audience has one customer per address",
        AUDIENCE,
        f"{MARKETING}/fct_decisions.sql",
        "channels.contact_channel not in ('email', 'sms')",
        "channels.contact_channel not in ('email', 'sms', 'ads')",
    ),
    _contact("pauses are ignored", PAUSED, "pauses.customer_id is not null\n", "false\n"),
    _contact(
        "a pause holds a day longer",
        PAUSED,
        "pauses.paused_until > settings.run_date",
        "pauses.paused_until >= settings.run_date",
    ),
    _contact(
        "a pause without a readable day is none",
        PAUSED,
        "pauses.paused_until > settings.run_date, pauses.paused_until is null",
        "pauses.paused_until > settings.run_date, false",
    ),
    _pauses("the oldest pause counts", PAUSED, "order by occurred_at desc", "order by occurred_at"),
    _pauses("the shortest pause wins a tie", PAUSED, "max(until)", "min(until)"),
    _pauses("every choice is a pause", PAUSED, "where preferences.choice = 'pause_until'", "where true"),
    _contact("minors are written to", MINOR, "customers.is_minor,", "false as is_minor,"),
    _permitted("everybody is born on New Year's Day", MINOR, "settings.min_age, 12, 31)", "settings.min_age, 1, 1)"),
    _permitted(
        "an unknown year is a minor's",
        MINOR,
        "settings.run_date, false) as is_minor",
        "settings.run_date, true) as is_minor",
    ),
    _permitted("minors are learnt from", MINOR, "not is_objector and not is_minor", "not is_objector"),
    Mutant(
        "any e-mail address will do",
        ADDRESS,
        f"{FEATURES}/int_customers__addressed.sql",
        "when 'email' then {{ is_email('address') }}",
        "when 'email' then true",
    ),
    Mutant(
        "any number with a plus is a phone's",
        ADDRESS,
        "macros/addresses.sql",
        "regexp_full_match({{ column }}, '\\+[1-9][0-9]{6,14}')",
        "regexp_full_match({{ column }}, '[+0-9]+')",
    ),
    Mutant(
        "everybody at an address is written to",
        ONE_MESSAGE,
        f"{MARKETING}/fct_decisions.sql",
        "when not is_first then",
        "when false then",
    ),
    _claims(
        "the record updated first wins",
        ONE_MESSAGE,
        "customers.updated_at desc nulls last",
        "customers.updated_at nulls last",
    ),
    _claims(
        "each spelling of a mailbox is written to",
        ONE_MESSAGE,
        "{{ mailbox('addresses.address') }}",
        "addresses.address",
    ),
    _claims("the record never updated wins", ONE_MESSAGE, "desc nulls last", "desc nulls first"),
    _claims(
        "the larger id wins", ONE_MESSAGE, "nulls last, addresses.customer_id", "nulls last, addresses.customer_id desc"
    ),
    _claims("who may not be contacted claims the address", ONE_MESSAGE, "where is_contactable", "where true"),
    _contact(
        "youth is asked before the pause",
        FIRST_REASON,
        "when is_paused then 'paused'\n            when is_minor then 'minor'",
        "when is_minor then 'minor'\n            when is_paused then 'paused'",
    ),
    _contact(
        "the pause is asked before expiry",
        FIRST_REASON,
        "when not is_unexpired then 'consent_expired'\n            when is_paused then 'paused'",
        "when is_paused then 'paused' when not is_unexpired then 'consent_expired'",
    ),
    _permitted(
        "silence allows personalisation",
        PERSONAL,
        "coalesce(personalisation.is_allowed, false)",
        "coalesce(personalisation.is_allowed, true)",
    ),
    _permitted(
        "consent to marketing allows personalisation",
        PERSONAL,
        "where purpose = 'personalisation'",
        "where purpose = 'marketing'",
    ),
    _permitted(
        "one yes outweighs every no",
        PERSONAL,
        "bool_or(is_consent) and not bool_or(is_refusal) as is_allowed",
        "bool_or(is_consent) as is_allowed",
    ),
    _permitted(
        "consent to personalisation never ends",
        PERSONAL,
        "consents.valid_until is null or consents.valid_until > settings.night_end",
        "true",
    ),
    _permitted(
        "objectors to all marketing are learnt from",
        PERSONAL,
        "suppressions.customer_id is not null or coalesce(marketing.is_refused, false) as is_objector",
        "suppressions.customer_id is not null as is_objector",
    ),
    _permitted(
        "those suppressed everywhere are learnt from",
        PERSONAL,
        "suppressions.customer_id is not null or coalesce(marketing.is_refused, false) as is_objector",
        "coalesce(marketing.is_refused, false) as is_objector",
    ),
    Mutant(
        "everybody's orders are used",
        NOT_LEARNT,
        f"{FEATURES}/int_order_lines__attributed.sql",
        "where ids.customer_id is null or permissions.may_personalise",
        "where true",
    ),
    Mutant(
        "everybody's visits are used",
        NOT_LEARNT,
        f"{FEATURES}/int_web_events__attributed.sql",
        "where permissions.may_personalise",
        "where true",
    ),
    Mutant(
        "everybody's orders count for the popular list",
        NOT_LEARNT,
        "models/marts/features/product_popularity.sql",
        "select * from {{ ref('int_order_lines__attributed') }}",
        "select *, coalesce(customer_id, visitor_id) as person_id from {{ ref('stg_shop__order_lines') }}",
    ),
    _ids(
        "the link seen first decides",
        NEAREST,
        "order by last_seen_at desc, customer_id",
        "order by last_seen_at, customer_id",
    ),
    _ids(
        "the larger id decides",
        NEAREST,
        "order by last_seen_at desc, customer_id",
        "order by last_seen_at desc, customer_id desc",
    ),
    _ids("only direct links are followed", NEAREST, "searched.links < 100", "searched.links < 1"),
    Mutant(
        "links in orders are not followed",
        NEAREST,
        f"{FEATURES}/int_identities__linked.sql",
        "select visitor_id, customer_id, ordered_at from order_lines",
        "select visitor_id, customer_id, ordered_at from order_lines where false",
    ),
    Mutant(
        "links in visits are not followed",
        NEAREST,
        f"{FEATURES}/int_identities__linked.sql",
        "select visitor_id, customer_id, occurred_at from web_events",
        "select visitor_id, customer_id, occurred_at from web_events where false",
    ),
)
