"""Which tools' own APIs take deliveries: the name after `api:` in the shop file, and where its carrier is."""

APIS: dict[str, str] = {}
"""Name -> "module:Class", a `recsys.delivery.carrier.Carrier` made from (Audience, Connection)."""
