"""The toy shop with a channel of every kind and form, taken through whole nights."""

from datetime import date
from pathlib import Path

import toy
import yaml

from expectations import gate
from recsys import export
from recsys.config import Shop, load_shop
from recsys.night import Night
from recsys.pipeline import record, work_of

BASE = {"contact_channel": "email", "slots": 2, "min_items": 1}
CHANNELS = [
    {"name": "plain", "kind": "email_file", "format": "jsonl", **BASE, "slots": 4},
    {"name": "crm", "kind": "crm_file", "format": "parquet", "moments": ["recommendations"], **BASE},
    {"name": "klaviyo", "kind": "klaviyo", "moments": ["recommendations", "check_in"], **BASE},
    {"name": "requests", "kind": "klaviyo", "format": "json", "rows": "delta", **BASE},
    {"name": "braze", "kind": "braze", "rows": "delta", **BASE},
    {"name": "ingestion", "kind": "braze", "format": "jsonl", "moments": ["recommendations", "check_in"], **BASE},
    {"name": "lake", "kind": "braze", "format": "parquet", "identifier": "email", **BASE},
    {"name": "sfmc", "kind": "sfmc", "format": "txt", "options": {"account_timezone": "Pacific/Auckland"}, **BASE},
    {"name": "mailchimp", "kind": "mailchimp", "rows": "delta", "language": "de", **BASE},
    {"name": "hubspot", "kind": "hubspot", **BASE},
]


def write_shop(folder: Path) -> Shop:
    """The toy shop with `CHANNELS`, in a folder of its own."""
    shop = toy.write_shop(folder)
    content = yaml.safe_load(shop.path.read_text())
    content |= {"channels": CHANNELS, "gate": {"min_recipients": 0, "min_coverage": 0}}
    shop.path.write_text(yaml.safe_dump(content, sort_keys=False))
    return load_shop(shop.path)


def finish(shop: Shop, run_date: date, stages: tuple[str, ...] = ()) -> Night:
    """Run a whole night up to its exports, or only these stages."""
    night = Night(shop, run_date)
    for stage in stages or ("ingest", "features", "recommend", "decide", "render", "gate", "export"):
        if stage == "export":
            for channel in export.channels(night):
                record(night, f"export.{channel}", work_of("export", channel))
        else:
            record(night, stage, gate.run if stage == "gate" else work_of(stage))
    return night
