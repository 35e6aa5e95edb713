"""Which kinds of channel there are: those that come with the product, and a company's own.

A company's own kind is a subclass of `recsys.channels.base.Kind` (most easily of `recsys.channels.tool_file.ToolFile`)
that an installed package names as an entry point in the group `recsys.channels`; the entry point's name is the kind.
"""

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

from recsys.errors import ConfigError

if TYPE_CHECKING:
    from recsys.channels.base import Kind

GROUP = "recsys.channels"
BUILT_IN = {
    "email_file": "recsys.channels.email_file:EmailFile",
    "crm_file": "recsys.channels.crm_file:CrmFile",
    "klaviyo": "recsys.channels.klaviyo:Klaviyo",
    "braze": "recsys.channels.braze:Braze",
    "sfmc": "recsys.channels.sfmc:Sfmc",
    "mailchimp": "recsys.channels.mailchimp:Mailchimp",
    "hubspot": "recsys.channels.hubspot:HubSpot",
    "google_customer_match": "recsys.channels.google_customer_match:GoogleCustomerMatch",
    "meta_custom_audiences": "recsys.channels.meta_custom_audiences:MetaCustomAudiences",
}


def names() -> tuple[str, ...]:
    """Every kind by name, those of the product first."""
    own = sorted({point.name for point in entry_points(group=GROUP)} - set(BUILT_IN))
    return (*BUILT_IN, *own)


def find(name: object) -> "type[Kind] | None":
    """The kind of this name; None where there is none. A kind of the product cannot be replaced by another.

    Raises ConfigError when a company's entry point cannot be loaded or is no kind.
    """
    if not isinstance(name, str):
        return None
    value = BUILT_IN.get(name)
    if value is None:  # only then: it reads what every installed package says of itself
        value = {point.name: point.value for point in entry_points(group=GROUP)}.get(name)
    return _loaded(name, value) if value else None


def kind_of(name: str) -> "type[Kind]":
    """The kind of this name. Raises ConfigError where there is none."""
    found = find(name)
    if found is None:
        raise ConfigError(f"kind '{name}': no such kind of channel; allowed: {', '.join(names())}.")
    return found


def found_by() -> dict[str, str]:
    """Header in a file of any kind -> customer_id, email or phone, what people are found by in it."""
    return {header: name for kind in names() for header, name in kind_of(kind).found_by().items()}


@cache
def _loaded(name: str, value: str) -> "type[Kind]":
    from recsys.channels.base import Kind

    where = f"kind '{name}': the entry point {value} of group {GROUP}"
    try:
        kind = EntryPoint(name, value, GROUP).load()
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{where} cannot be loaded ({error}). Install its package, or correct it.") from None
    if not (isinstance(kind, type) and issubclass(kind, Kind)) or kind.kind != name:
        raise ConfigError(f"{where} is no subclass of recsys.channels.base.Kind that is called '{name}'.")
    return kind
