"""Which tools' own APIs take deliveries: the name after `api:` in the shop file, and where its carrier is."""

APIS = {
    "braze": "recsys.delivery.braze:BrazeApi",
    "klaviyo": "recsys.delivery.klaviyo:KlaviyoApi",
}
"""Name -> "module:Class", a `recsys.delivery.carrier.Carrier` made from (Audience, Connection)."""
