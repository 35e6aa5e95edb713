"""The toy shop: six customers and eight products, small enough to hold in the head.

Ann, Ben and Cat buy teas; Dan and Eve buy tools; Fay has no history. The night is 2026-03-31; it ends at midnight UTC.

| customer | bought | may be mailed? |
|---|---|---|
| ann | green, black | yes |
| ben | green, black, mint | yes; a consent that ends on 2026-12-31 |
| cat | green; viewed black before she signed up (visitor v-cat, linked) | withdrew on 2026-03-20; still wants letters |
| dan | hammer, saw | granted, but his address hard-bounced |
| eve | hammer; ordered a drill and returned it | granted, but the consent ended on 2026-03-01 |
| fay | nothing | granted; her e-mail address is not one |

Everybody allows personalisation, for as long as they like.

Products: teas are replenishable (green, black, mint, oolong); tools are not (hammer, saw, drill); oolong is out of
stock, and test is sensitive.
"""

from datetime import date, datetime
from pathlib import Path

import polars as pl

from recsys.config import Shop, load_shop
from recsys.contracts import CONTRACTS
from recsys.night import Night
from recsys.tables import schema_of, write_parquet

RUN_DATE = date(2026, 3, 31)


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _customer(customer_id: str, **fields: object) -> dict[str, object]:
    return {
        "customer_id": customer_id,
        "email": f"{customer_id}@example.com",
        "first_name": customer_id.title(),
        "country": "DE",
        "language": "en",
        "created_at": _at("2026-01-01T00:00:00"),
        "updated_at": _at("2026-01-01T00:00:00"),
    } | fields


def _product(product_id: str, category: str, **fields: object) -> dict[str, object]:
    return {
        "product_id": product_id,
        "name": product_id.title(),
        "category": category,
        "price": "9.90",
        "currency": "EUR",
        "url": f"https://shop.example/{product_id}",
        "is_active": True,
        "in_stock": True,
        "replenishable": category.startswith("tea"),
        "sensitive": False,
    } | fields


def _line(order_id: str, who: str, product_id: str, at: str, quantity: int = 1) -> dict[str, object]:
    return {
        "order_id": order_id,
        "customer_id": who,
        "product_id": product_id,
        "quantity": quantity,
        "unit_price": "9.90",
        "ordered_at": _at(at),
    }


def _consent(customer_id: str, status: str, at: str, valid_until: str | None = None) -> dict[str, object]:
    return {
        "customer_id": customer_id,
        "channel": "email",
        "purpose": "marketing",
        "status": status,
        "occurred_at": _at(at),
        "valid_until": _at(valid_until) if valid_until else None,
    }


ROWS: dict[str, list[dict[str, object]]] = {
    "customers": [
        _customer("ann"),
        _customer("ben", phone="+4915112345678"),
        _customer("cat"),
        _customer("dan"),
        _customer("eve"),
        _customer("fay", email="fay at example"),
    ],
    "products": [
        _product("green", "tea > green"),
        _product("black", "tea > black"),
        _product("mint", "tea > herbal"),
        _product("oolong", "tea > oolong", in_stock=False),
        _product("hammer", "tools"),
        _product("saw", "tools"),
        _product("drill", "tools"),
        _product("test", "health", sensitive=True),
    ],
    "order_lines": [
        _line("o1", "ann", "green", "2026-03-01T10:00:00"),
        _line("o1", "ann", "black", "2026-03-01T10:00:00"),
        _line("o2", "ben", "green", "2026-03-10T10:00:00"),
        _line("o2", "ben", "black", "2026-03-10T10:00:00"),
        _line("o2", "ben", "mint", "2026-03-10T10:00:00"),
        _line("o3", "cat", "green", "2026-03-11T10:00:00"),
        _line("o4", "dan", "hammer", "2026-03-12T10:00:00"),
        _line("o4", "dan", "saw", "2026-03-12T10:00:00"),
        _line("o5", "eve", "hammer", "2026-03-13T10:00:00"),
        _line("o6", "eve", "drill", "2026-03-14T10:00:00"),
        _line("o6", "eve", "drill", "2026-03-20T10:00:00", quantity=-1),
        # after the night's end: must not be seen
        _line("o7", "fay", "saw", "2026-04-01T00:00:00"),
    ],
    "web_events": [
        {
            "event_id": "e1",
            "visitor_id": "v-cat",
            "product_id": "black",
            "event_type": "view",
            "occurred_at": _at("2026-03-05T10:00:00"),
        },
    ],
    "identities": [{"visitor_id": "v-cat", "customer_id": "cat", "seen_at": _at("2026-03-11T09:00:00")}],
    "consents": [
        _consent("ann", "granted", "2026-01-01T00:00:00"),
        _consent("ben", "granted", "2026-01-01T00:00:00", "2026-12-31T00:00:00"),
        _consent("cat", "granted", "2026-01-01T00:00:00"),
        _consent("cat", "withdrawn", "2026-03-20T00:00:00"),
        _consent("cat", "granted", "2026-01-01T00:00:00") | {"channel": "post"},
        _consent("dan", "granted", "2026-01-01T00:00:00"),
        _consent("eve", "granted", "2026-01-01T00:00:00", "2026-03-01T00:00:00"),
        _consent("fay", "granted", "2026-01-01T00:00:00"),
        *(
            _consent(customer, "granted", "2026-01-01T00:00:00") | {"purpose": "personalisation"}
            for customer in ("ann", "ben", "cat", "dan", "eve", "fay")
        ),
    ],
    "suppressions": [
        {
            "email": "DAN@example.com ",
            "channel": "email",
            "reason": "hard_bounce",
            "occurred_at": _at("2026-02-01T00:00:00"),
        },
    ],
}


def frame(table: str, rows: list[dict[str, object]] | None = None) -> pl.DataFrame:
    """Contract-typed rows of one table; the toy shop's own when none are given."""
    rows = ROWS.get(table, []) if rows is None else rows
    schema = schema_of(CONTRACTS[table])
    loose = {name: pl.String() if isinstance(dtype, pl.Decimal) else dtype for name, dtype in schema.items()}
    return pl.DataFrame(rows, schema=loose, orient="row").cast(dict(schema))


SHOP_FILE = """\
shop: toy
currency: EUR
data_root: data
tables:
{tables}
recommend: {{k: 4, factors: 2, iterations: 5}}
evaluate: {{nightly: false}}
caps: []
channels:
  - {{name: email_file, kind: email_file, contact_channel: email, slots: 2, min_items: 1}}
  - {{name: crm_file, kind: crm_file, contact_channel: email, slots: 2, min_items: 1}}
"""

TABLE_ENTRY = """\
  {name}:
    files: ["inbox/*/{name}.csv"]
    file_date: "inbox/(\\\\d{{4}}-\\\\d{{2}}-\\\\d{{2}})/"
    csv: {{header: [{header}]}}
    columns: {{{columns}}}
"""


def write_shop(folder: Path, **rows: list[dict[str, object]]) -> Shop:
    """A shop file and one day's CSV files below `folder`; keyword arguments replace the rows of a table."""
    inbox = folder / "inbox" / RUN_DATE.isoformat()
    inbox.mkdir(parents=True, exist_ok=True)
    entries = []
    for name in CONTRACTS:
        content = rows.get(name, ROWS.get(name))
        if content is None:
            continue
        table = frame(name, content)
        flat = [column for column, dtype in table.schema.items() if not isinstance(dtype, pl.List)]
        table.select(flat).write_csv(inbox / f"{name}.csv", datetime_format="%Y-%m-%d %H:%M:%S")
        entries.append(
            TABLE_ENTRY.format(name=name, header=", ".join(flat), columns=", ".join(f"{c}: {c}" for c in flat))
        )
    path = folder / "shop.yaml"
    path.write_text(SHOP_FILE.format(tables="".join(entries).rstrip("\n")))
    return load_shop(path)


def deliver_permissions(shop: Shop, day: date) -> None:
    """A day on which nobody said anything: consents and suppressions with a header alone."""
    inbox = shop.folder / "inbox"
    (inbox / day.isoformat()).mkdir(parents=True, exist_ok=True)
    for name in ("consents", "suppressions"):
        header = (inbox / RUN_DATE.isoformat() / f"{name}.csv").read_text().splitlines(keepends=True)[0]
        (inbox / day.isoformat() / f"{name}.csv").write_text(header)


def raw_frame(night: Night, table: str, rows: list[dict[str, object]] | None = None) -> pl.DataFrame:
    """The rows of one table that a night may read, as ingest orders them: those in time, and a customer's no."""
    contract, every = CONTRACTS[table], frame(table, rows)
    if contract.moment:
        early = pl.sql_expr(contract.binding_early or "false")
        every = every.filter(pl.col(contract.moment).lt(night.end).fill_null(True) | early)
    return every.sort(every.columns)


def write_raw(night: Night, **rows: list[dict[str, object]]) -> None:
    """What ingest would leave in `night.raw`, straight from the rows: for tests of the stages behind it."""
    from recsys import ledger
    from recsys.ingest.assemble import write_quarantine, write_settings
    from recsys.suppression import memory

    for name in CONTRACTS:
        write_parquet(raw_frame(night, name, rows.get(name)), night.raw / f"{name}.parquet")
    write_quarantine(night, [])
    write_settings(night)
    ledger.link(night, {})
    memory.match(night, memory.key_of(night.published))
