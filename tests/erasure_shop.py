"""A shop whose customer Kim is to be erased, in every table and every format; and a search for what is left of her.

The toy shop's people are there too. Max shares Kim's e-mail address, and a note about him names her. Kim changed her
address and her phone number, ordered and looked around as visitors before she signed up, got a message and opened it,
and one of her rows is bad.
"""

import gzip
import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import duckdb
import polars as pl
import toy

from recsys.config import Shop, load_shop
from recsys.night import Night

KIM = "kim-zq7391"
CANARIES = (
    *("zq7391", "7777391", "7777392"),
    *("kimberlynne", "zuckerkandl"),
    *("kim.new@canary.example", "kim.old@canary.example", "kim.bad@canary.example"),
)
"""Every id of Kim has zq7391 in it, and every phone number one of the others. What Max shares with her is not here."""

SHARED = "flat@shared.example"
NEXT = toy.RUN_DATE + timedelta(days=1)

SHOP = """\
shop: kims
currency: EUR
data_root: data
sandbox: [inbox]
tables:
  customers:
    files: ["inbox/*/customers.csv"]
    file_date: &date "inbox/(\\\\d{4}-\\\\d{2}-\\\\d{2})/"
    csv: {header: [id, mail, phone, first, last, born, changed, note]}
    columns: {customer_id: id, email: mail, phone: phone, first_name: first, last_name: last, birth_year: born,
      country: "'DE'", language: "'en'", created_at: "'2026-01-01'", updated_at: changed}
  products:
    files: ["inbox/*/products.parquet"]
    file_date: *date
    format: parquet
    columns: {product_id: product_id, name: name, category: category, price: price, currency: currency, url: url,
      is_active: is_active, in_stock: in_stock, replenishable: replenishable, sensitive: sensitive}
  order_lines:
    files: ["inbox/*/orders.csv"]
    file_date: *date
    csv: {header: [number, who, visitor, sku, pieces, moment], delimiter: ";", encoding: latin-1}
    columns: {order_id: number, customer_id: who, visitor_id: visitor, product_id: sku, quantity: pieces,
      ordered_at: moment}
  web_events:
    files: ["inbox/*/events.csv.gz"]
    file_date: *date
    csv: {header: [id, visitor, who, sku, kind, moment]}
    columns: {event_id: id, visitor_id: visitor, customer_id: who, product_id: sku, event_type: kind,
      occurred_at: moment}
  identities:
    files: ["inbox/*/identities.parquet"]
    file_date: *date
    format: parquet
    columns: {visitor_id: visitor_id, customer_id: customer_id, seen_at: seen_at}
  consents:
    files: ["inbox/*/consents.csv"]
    file_date: *date
    csv: {header: [who, channel, purpose, status, moment]}
    columns: {customer_id: who, channel: channel, purpose: purpose, status: status, occurred_at: moment}
  suppressions:
    files: ["inbox/*/suppressions.csv"]
    file_date: *date
    csv: {header: [who, mail, phone, channel, reason, since]}
    columns: {customer_id: who, email: mail, phone: phone, channel: channel, reason: reason, occurred_at: since}
  preferences:
    files: ["inbox/*/preferences.jsonl"]
    file_date: *date
    format: jsonl
    fields: [who, topic, choice, value, moment]
    columns: {customer_id: who, topic: topic, choice: choice, value: value, occurred_at: moment}
  contacts:
    files: ["inbox/*/contacts.csv"]
    file_date: *date
    csv: {header: [message, who, channel, campaign, sent]}
    columns: {message_id: message, customer_id: who, channel: channel, campaign: campaign, sent_at: sent}
  engagements:
    files: ["inbox/*/engagements.csv"]
    file_date: *date
    csv: {header: [message, kind, moment]}
    columns: {message_id: message, event_type: kind, occurred_at: moment}
ingest: {max_bad_share: 0.2}
caps: []
recommend: {k: 4, factors: 2, iterations: 5}
channels:
  - {name: email_file, kind: email_file, contact_channel: email, slots: 2, min_items: 1}
  - {name: crm_file, kind: crm_file, contact_channel: email, slots: 2, min_items: 1}
"""

CUSTOMERS = "id,mail,phone,first,last,born,changed,note\n"
EVENTS = b"id,visitor,who,sku,kind,moment\n"
SUPPRESSIONS = "who,mail,phone,channel,reason,since\n"
KIM_NOW = f"{KIM},Kim.New@canary.example,+491517777392,Kimberlynne,Zuckerkandl,1980,2026-03-02,\n"
KIM_BEFORE = f"{KIM},kim.old@canary.example,+49 151 7777391,Kimberlynne,Zuckerkandl,1980,2026-02-02,\n"
KIM_BAD = f"{KIM},kim.bad@canary.example,,Kimberlynne,Zuckerkandl,unknown,2026-01-02,\n"
KIM_SHARED = f"{KIM},{SHARED},,Kimberlynne,Zuckerkandl,1980,2026-01-03,\n"
MAX = f'max,{SHARED},,Max,Muster,1980,2026-03-02,"flat of {KIM}; or Kim.New@canary.example"\n'
KIM_ORDERS = f"o-zq7391;{KIM};;green;1;2026-03-10\nzq7391-v;;v-zq7391;hammer;1;2026-03-09\n"
KIM_EVENTS = f"e-zq7391,w-zq7391,,black,view,2026-03-05\ne2-zq7391,v-zq7391,{KIM},black,view,2026-03-05\n"
KIM_CONSENTS = "".join(f"{KIM},email,{purpose},granted,2026-01-01\n" for purpose in ("marketing", "personalisation"))


def deliver(folder: Path, day: date, files: dict[str, str | bytes]) -> None:
    """Put files into the inbox of a day."""
    inbox = folder / "inbox" / day.isoformat()
    inbox.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (inbox / name).write_bytes(content.encode() if isinstance(content, str) else content)


def write_shop(folder: Path) -> Shop:
    """The shop file and deliveries of two days before the night and of the night itself."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "shop.yaml").write_text(SHOP)
    toys = toy.frame("customers").select("customer_id", "email").filter(pl.col("customer_id") != "fay").rows()
    people = "".join(f"{who},{mail},,{who.title()},Toy,1980,2026-01-01,\n" for who, mail in toys)
    agreed = "".join(
        f"{who},email,{purpose},granted,2026-01-01\n"
        for who in ("ann", "ben", "cat", "dan", "eve", "max")
        for purpose in ("marketing", "personalisation")
    )
    lines = toy.frame("order_lines").filter(pl.col("ordered_at") < toy._at("2026-03-31T00:00:00"))
    orders = "".join(
        f"{order};{who};;{product};{pieces};{at}\n"
        for order, who, product, pieces, at in lines.select(
            "order_id", "customer_id", "product_id", "quantity", "ordered_at"
        ).rows()
    )
    deliver(
        folder,
        toy.RUN_DATE - timedelta(days=1),
        {
            "customers.csv": CUSTOMERS + people + KIM_BEFORE + KIM_BAD + MAX,
            "orders.csv": "number;who;visitor;sku;pieces;moment\n" + orders + KIM_ORDERS,
            "events.csv.gz": gzip.compress(EVENTS + KIM_EVENTS.encode(), mtime=0),
            "consents.csv": "who,channel,purpose,status,moment\n" + agreed + KIM_CONSENTS,
            "suppressions.csv": SUPPRESSIONS + ",dan@example.com,,email,hard_bounce,2026-02-01\n",
            "contacts.csv": f"message,who,channel,campaign,sent\nm-zq7391,{KIM},email,spring,2026-03-01\n",
            "engagements.csv": "message,kind,moment\nm-zq7391,open,2026-03-01\nm-1,open,2026-03-01\n",
        },
    )
    deliver(folder, toy.RUN_DATE - timedelta(days=2), {"customers.csv": CUSTOMERS + KIM_SHARED})
    choice = {"who": KIM, "topic": "tea", "choice": "interested", "value": None, "moment": "2026-03-01"}
    deliver(
        folder,
        toy.RUN_DATE,
        {
            "customers.csv": CUSTOMERS + KIM_NOW,
            "consents.csv": "who,channel,purpose,status,moment\n",
            "suppressions.csv": SUPPRESSIONS + ",kim.old@canary.example,,sms,complaint,2026-02-01\n",
            "preferences.jsonl": json.dumps(choice) + "\n",
        },
    )
    inbox = folder / "inbox" / toy.RUN_DATE.isoformat()
    toy.frame("products").drop("tags", "launched_at", "brand", "image_url").write_parquet(inbox / "products.parquet")
    links = [
        {"visitor_id": "v-zq7391", "customer_id": KIM, "seen_at": toy._at("2026-03-10T00:00:00")},
        {"visitor_id": "w-zq7391", "customer_id": "v-zq7391", "seen_at": toy._at("2026-03-10T00:00:00")},
    ]
    toy.frame("identities", links).write_parquet(inbox / "identities.parquet")
    return load_shop(folder / "shop.yaml")


def deliver_next_day(folder: Path) -> None:
    """Kim is delivered again, upstream being late, and somebody new has registered with her address."""
    fresh = "new-1,KIM.NEW@canary.example,,Newcomer,Neu,1980,2026-04-01,\n"
    statements = "".join(f"new-1,email,{purpose},granted,2026-04-01\n" for purpose in ("marketing", "personalisation"))
    deliver(
        folder,
        NEXT,
        {
            "customers.csv": CUSTOMERS + KIM_NOW + fresh,
            "orders.csv": "number;who;visitor;sku;pieces;moment\n" + KIM_ORDERS.replace("o-zq7391", "p-zq7391"),
            "events.csv.gz": gzip.compress(
                b"id,visitor,who,sku,kind,moment\nx-zq7391,w-zq7391,,black,view,2026-04-01\n", mtime=0
            ),
            "consents.csv": "who,channel,purpose,status,moment\n" + KIM_CONSENTS + statements,
            "suppressions.csv": SUPPRESSIONS,
        },
    )


def left(root: Path, *words: str) -> dict[str, list[str]]:
    """Word -> files below a root that hold it: in their bytes, unpacked, in a Parquet cell or a DuckDB table."""
    found: dict[str, list[str]] = {}
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        contents = [content.lower() for content in _contents(path)]
        for word in words:
            if word.lower() in path.name.lower() or any(word.lower().encode() in content for content in contents):
                found.setdefault(word, []).append(path.relative_to(root).as_posix())
    return found


def _contents(path: Path) -> Iterator[bytes]:
    content = path.read_bytes()
    yield content
    if content.startswith(b"\x1f\x8b"):
        yield gzip.decompress(content)
    elif content.startswith(b"PAR1"):
        yield str(pl.read_parquet(path).rows()).encode()
    elif path.suffix == ".duckdb":
        with duckdb.connect(str(path), read_only=True) as con:
            names = con.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall()
            for schema, table in names:
                yield str(con.execute(f'SELECT * FROM "{schema}"."{table}"').fetchall()).encode()


def run(night: Night, *stages: str) -> None:
    """Stages of a night in this process."""
    from expectations import gate
    from recsys import export
    from recsys.pipeline import STAGES, record, work_of

    for stage in stages or [stage for stage in STAGES if stage != "deliver"]:
        if stage == "export":
            for channel in export.channels(night):
                record(night, f"export.{channel}", work_of("export", channel))
        else:
            record(night, stage, gate.run if stage == "gate" else work_of(stage))
