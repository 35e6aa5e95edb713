"""Which tools' own APIs take deliveries: the name after `api:` in the shop file, and what each takes."""

import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recsys.delivery.api_carrier import ApiCarrier


@dataclass(frozen=True)
class ToolApi:
    """One tool's API: whose files it takes, in which format, and a connection to copy."""

    carrier: str
    """module:Class, a `recsys.delivery.api_carrier.ApiCarrier`."""
    kind: str
    format: str
    example: str
    """The value of the environment variable."""

    def load(self) -> "type[ApiCarrier]":
        """The carrier's class."""
        module, _, name = self.carrier.partition(":")
        return getattr(importlib.import_module(module), name)  # type: ignore[no-any-return]


APIS = {
    "braze": ToolApi(
        "recsys.delivery.braze:BrazeApi",
        kind="braze",
        format="jsonl",
        example='{"host": "https://rest.fra-01.braze.eu", "password": "the REST API key"}',
    ),
    "klaviyo": ToolApi(
        "recsys.delivery.klaviyo:KlaviyoApi",
        kind="klaviyo",
        format="json",
        example='{"password": "the private API key", "extra": {"list_id": "the list to add profiles to"}}',
    ),
}


def for_a_person(channel: str, files: Iterable[str], suffix: str) -> list[str]:
    """Of a channel's files those that an API does not take, ordered: of another format, or with people to remove."""
    return sorted(name for name in files if not name.endswith(suffix) or name.startswith(f"{channel}_remove_"))
