"""Files that tools take, and what can be wrong with each: every case is a right file with one fault, and its rule."""

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

Row = list[str]
Change = Callable[[list[Row]], None]
DAY = "20260831"
LARGE = 2_000_000
NOTHING = hashlib.sha256(b"").hexdigest()


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Base:
    """A right file. `rows` holds the header first; for JSON lines and Parquet, objects."""

    kind: str
    what: str
    file: str
    rows: Any
    identifiers: tuple[int, ...] = (0,)
    """The columns that are all empty in a row about nobody."""

    @property
    def is_delimited(self) -> bool:
        return Path(self.file).suffix in {".csv", ".txt"}

    @property
    def separator(self) -> str:
        return "\t" if self.file.endswith(".txt") else ","

    def content(self) -> bytes:
        if self.is_delimited:
            return delimited(self.rows, self.separator)
        if self.file.endswith(".parquet"):
            return parquet(self.rows)
        return json_lines(self.rows)


@dataclass(frozen=True)
class Case:
    """A wrong file and the one rule that it breaks."""

    name: str
    base: Base
    content: bytes
    rule: str
    file: str = ""

    def write(self, folder: Path) -> Path:
        path = folder / (self.file or self.base.file)
        path.write_bytes(self.content)
        return path


def delimited(rows: list[Row], separator: str = ",") -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=separator, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def json_lines(objects: list[Any]) -> bytes:
    return "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in objects).encode()


def name_twice(objects: list[Any], name: str) -> bytes:
    """The same lines, the first of which says this name twice in one object."""
    return json_lines(objects).replace(f'"{name}"'.encode(), f'"{name}": "x", "{name}"'.encode(), 1)


def parquet(objects: list[dict[str, Any]]) -> bytes:
    sink = io.BytesIO()
    pl.DataFrame(objects).write_parquet(sink)
    return sink.getvalue()


SLOT = ["id", "name", "reason", "url", "image_url", "price", "currency"]
ITEM = ["tea-1", "Grüner Tee, 100 g", "Weil Sie Tee gekauft haben", "https://shop.example/tea-1", "", "9.90", "EUR"]
OTHER = ["pot", 'Pot, 5"', "Popular in the last 28 days", "https://shop.example/pot", "", "1234.50", "EUR"]
WINDOW = ["2026-09-01T06:00:00Z", "2026-09-01T19:00:00Z"]


def slots(form: str, parts: list[str] = SLOT) -> Row:
    return [form.format(n=n, part=part) for n in (1, 2) for part in parts]


EMAIL_FILE = Base(
    "email_file", "audience", f"email_file_{DAY}.csv",
    [
        ["customer_id", "email", "first_name", "language", "country", "choices_applied", "send_not_before",
         "send_not_after", "run_date", *slots("rec_{n}_{part}")],
        ["c1", "ann@example.com", "Ann", "en", "DE", "", *WINDOW, "2026-08-31", *ITEM, *OTHER],
        ["c2", "émile@exämple.fr", "Émile", "de-AT", "", "interested: tea", *WINDOW, "2026-08-31", *OTHER, *[""] * 7],
        ["c3", "+tag@example.com", "'=Cleo", "fr", "FR", "", *WINDOW, "2026-08-31", *ITEM, *OTHER],
    ],
)  # fmt: skip
EMAIL_REMOVE = Base(
    "email_file", "remove", f"email_file_remove_{DAY}.csv",
    [["customer_id", "email", "left_since", "reason"], ["c4", "dan@example.com", "2026-08-30", "no_consent"],
     ["c5", "eve@example.com", "2026-08-29", "address_changed"]],
)  # fmt: skip
EMAIL_CLEAR = Base(
    "email_file", "clear", f"email_file_clear_{DAY}.csv",
    [EMAIL_FILE.rows[0], *[[c, f"{c}@example.com", *[""] * 6, "2026-08-31", *[""] * 14] for c in ("c4", "c5")]],
)  # fmt: skip
EMAIL_CHECK_IN = Base(
    "email_file", "check_in", f"check_in_email_file_{DAY}.csv",
    [["customer_id", "email", "run_date", "topic_1", "why_1", "reason_1"],
     ["c1", "ann@example.com", "2026-08-31", "garden", "aged", "You told us so in May 2025. Is it still so?"],
     ["c2", "ben@example.com", "2026-08-31", "bath", "finished", "Are you done with bath?"]],
)  # fmt: skip
CATALOGUE = Base(
    "email_file", "catalogue", f"catalogue_{DAY}.csv",
    [["product_id", "name", "category", "brand", "price", "currency", "url", "image_url"],
     ["tea-1", "Grüner Tee", "tea", "", "9.90", "EUR", "https://shop.example/tea-1", ""],
     ["pot", "Pot, 5\"", "tea > pots", "Leaf", "", "EUR", "https://shop.example/pot", ""]],
)  # fmt: skip
CRM_ROWS = [
    ["customer_id", "language", "country", "run_date", *slots("rec_{n}_{part}", ["id", "name", "reason", "price"])],
    ["c1", "en", "DE", "2026-08-31", "tea-1", "Grüner Tee", "Popular", "9.90", "pot", "Pot", "From our range", "5"],
    ["c2", "de-AT", "", "2026-08-31", "pot", "Pot", "Popular", "5", "", "", "", ""],
    ["c3", "fr", "FR", "2026-08-31", "tea-1", "Tea", "Popular", "9.90", "pot", "Pot", "From our range", "5"],
]
CRM_OBJECTS = [{h: cell or None for h, cell in zip(CRM_ROWS[0], row, strict=True)} for row in CRM_ROWS[1:]]
CRM_FILE = Base("crm_file", "audience", f"crm_file_{DAY}.csv", CRM_ROWS)
CRM_JSON = Base("crm_file", "audience", f"crm_file_{DAY}.jsonl", CRM_OBJECTS)
CRM_PARQUET = Base("crm_file", "audience", f"crm_file_{DAY}.parquet", CRM_OBJECTS)

PEOPLE = [
    ["ann@example.com", "+491701234567", "Ann", "c1"],
    ["ben+tea@example.co.uk", "", "Ben", "c2"],
    ["cleo@xn--exmple-cua.fr", "+4366412345678", "Cléo", "c3"],
]
RECS = [[*ITEM, *OTHER], [*OTHER, *[""] * 7], [*ITEM, *OTHER]]

KLAVIYO = Base(
    "klaviyo", "audience", f"klaviyo_{DAY}.csv",
    [["Email Address", "Phone Number", "First Name", "customer_id", "send_not_before", *slots("rec_{n}_{part}")],
     *[[*person, WINDOW[0], *recs] for person, recs in zip(PEOPLE, RECS, strict=True)]],
    (0, 1),
)  # fmt: skip
KLAVIYO_REMOVE = Base(
    "klaviyo", "remove", f"klaviyo_remove_{DAY}.csv",
    [["Email Address", "left_since"], ["dan@example.com", "2026-08-30"], ["eve@example.com", "2026-08-29"]],
)  # fmt: skip


def body(*profiles: dict[str, Any]) -> dict[str, Any]:
    data = [{"type": "profile", "attributes": profile} for profile in profiles]
    attributes = {"profiles": {"data": data}}
    return {"data": {"type": "profile-bulk-import-job", "attributes": attributes}}


def profile(n: int, **changes: Any) -> dict[str, Any]:
    own = {"rec_1_id": "tea-1", "rec_1_name": "Grüner Tee", "rec_1_price": 9.9, "choices": ["tea"]}
    right = {"email": f"p{n}@example.com", "phone_number": f"+4917012345{n:02}", "first_name": "Ann", "locale": "de-AT"}
    return {**right, "properties": own, **changes}


KLAVIYO_BODIES = Base("klaviyo", "audience", f"klaviyo_{DAY}.jsonl", [body(profile(1), profile(2)), body(profile(3))])
KLAVIYO_CLEAR = Base(
    "klaviyo", "clear", f"klaviyo_clear_{DAY}.jsonl", [body({"email": "d@example.com", "properties": {"rec_1_id": ""}})]
)

BRAZE = Base(
    "braze", "audience", f"braze_{DAY}.csv",
    [["external_id", "email", "phone", "first_name", "language", "country", "time_zone", "send_not_before",
      "is_member", *slots("rec_{n}_{part}")],
     *[[p[3], p[0], p[1], p[2], "de", "DE", "Europe/Berlin", WINDOW[0], "true", *recs]
       for p, recs in zip(PEOPLE, RECS, strict=True)]],
)  # fmt: skip
BRAZE_EMAIL = Base(
    "braze", "audience", f"braze_email_{DAY}.csv",
    [["email", "phone", "rec_1_id"], ["ann@example.com", "+491701234567", "tea-1"], ["ben@example.com", "", "pot"]],
    (0, 1),
)  # fmt: skip
BRAZE_ALIAS = Base(
    "braze", "audience", f"braze_alias_{DAY}.csv",
    [["user_alias_name", "user_alias_label", "rec_1_id"], ["c1", "shop", "tea-1"], ["c2", "shop", "pot"]],
)  # fmt: skip
BRAZE_CLEAR = Base(
    "braze", "clear", f"braze_clear_{DAY}.csv", [["external_id", "rec_1_id"], ["c4", "none"], ["c5", "none"]]
)
BRAZE_CATALOGUE = Base(
    "braze", "catalogue", f"braze_catalogue_{DAY}.csv",
    [["id", "name", "price", "is_new", "launched_at"], ["tea-1", "Grüner Tee", "9.90", "true", "2026-08-01"],
     ["pot_2", "Pot, 5\"", "", "false", "2026-08-02T10:00:00Z"]],
)  # fmt: skip


def payload(**changes: Any) -> str:
    return json.dumps({"first_name": "Ann", "rec_1_id": "tea-1", "rec_1_price": 9.9, "choices": ["tea"], **changes})


def ingested(n: int, **changes: Any) -> dict[str, Any]:
    return {"EXTERNAL_ID": f"c{n}", "PAYLOAD": payload(), **changes}


BRAZE_JSON = Base("braze", "audience", f"braze_{DAY}.jsonl", [ingested(1), ingested(2), ingested(3)])
BRAZE_PARQUET = Base("braze", "audience", f"braze_{DAY}.parquet", [ingested(1), ingested(2), ingested(3)])
BRAZE_JSON_CLEAR = Base(
    "braze", "clear", f"braze_clear_{DAY}.jsonl", [{"external_id": "c4", "payload": '{"rec_1_id": null}'}]
)

SFMC_ROWS = [
    ["SubscriberKey", "EmailAddress", "FirstName", "Is_Member", "send_not_before", *slots("rec_{n}_{part}")],
    *[[p[3], p[0], p[2], "Yes", "2026-09-01 06:00:00", *recs] for p, recs in zip(PEOPLE, RECS, strict=True)],
]
SFMC = Base("sfmc", "audience", f"sfmc_{DAY}.csv", SFMC_ROWS)
SFMC_TAB = Base("sfmc", "audience", f"sfmc_{DAY}.txt", SFMC_ROWS)
SFMC_OPT_OUT = Base(
    "sfmc", "optout", f"sfmc_optout_{DAY}.csv",
    [["EmailAddress", "Subscriber Status"], ["dan@example.com", "Unsubscribed"], ["eve@example.com", "Unsubscribed"]],
)  # fmt: skip
SFMC_CLEAR = Base(
    "sfmc",
    "clear",
    f"sfmc_clear_{DAY}.csv",
    [["SubscriberKey", "rec_1_id", "rec_1_name"], ["c4", "", ""], ["c5", "", ""]],
    (),
)

MAILCHIMP = Base(
    "mailchimp", "audience", f"mailchimp_{DAY}.csv",
    [["Email Address", "FNAME", "LANGUAGE", "SENDFROM",
      *slots("R{n}_{part}", ["ID", "NAME", "WHY", "URL", "IMAGE", "PRICE"])],
     *[[p[0], p[2], "de", WINDOW[0], *recs[:6], *recs[7:13]] for p, recs in zip(PEOPLE, RECS, strict=True)]],
)  # fmt: skip
HUBSPOT = Base(
    "hubspot", "audience", f"hubspot_{DAY}.csv",
    [["Email", "First Name", "Customer ID", "Run date", *slots("Rec {n} {part}")],
     *[[p[0], p[2], p[3], "2026-08-31", *recs] for p, recs in zip(PEOPLE, RECS, strict=True)]],
)  # fmt: skip
HUBSPOT_OPT_OUT = Base(
    "hubspot", "optout", f"hubspot_optout_{DAY}.csv", [["Email"], ["dan@example.com"], ["eve@example.com"]], ()
)
HUBSPOT_CLEAR = Base(
    "hubspot",
    "clear",
    f"hubspot_clear_{DAY}.csv",
    [["Email", "Rec 1 id"], ["d@example.com", "none"], ["e@example.com", "none"]],
)

GOOGLE = Base(
    "google_customer_match", "add", f"google_add_{DAY}.csv",
    [["Email", "Phone", "First Name", "Last Name", "Country", "Zip", "Email"],
     [sha("ann@example.com"), sha("+491701234567"), sha("ann"), sha("lee"), "DE", "10115", sha("a@example.com")],
     [sha("ben@example.com"), "", "", "", "", "", ""],
     ["", sha("+4366412345678"), sha("cléo"), sha("roy"), "fr", "75001", ""]],
    (),
)  # fmt: skip
META = Base(
    "meta_custom_audiences", "add", f"meta_add_{DAY}.csv",
    [["email", "phone", "fn", "ln", "country", "madid", "value"],
     [sha("ann@example.com"), sha("491701234567"), sha("ann"), sha("lee"), sha("de"),
      "AECE52E7-03EE-455A-B3C4-E57283966239", "12.5"],
     [sha("ben@example.com"), "", "", "", sha("gb"), "", "0"],
     ["", sha("4366412345678"), sha("cléo"), "", "", "", ""]],
    (0, 1, 2, 3, 5),
)  # fmt: skip

BASES = (
    EMAIL_FILE, EMAIL_REMOVE, EMAIL_CLEAR, EMAIL_CHECK_IN, CATALOGUE, CRM_FILE, CRM_JSON, CRM_PARQUET, KLAVIYO,
    KLAVIYO_REMOVE, KLAVIYO_BODIES, KLAVIYO_CLEAR, BRAZE, BRAZE_EMAIL, BRAZE_ALIAS, BRAZE_CLEAR, BRAZE_CATALOGUE,
    BRAZE_JSON, BRAZE_PARQUET, BRAZE_JSON_CLEAR, SFMC, SFMC_TAB, SFMC_OPT_OUT, SFMC_CLEAR, MAILCHIMP, HUBSPOT,
    HUBSPOT_OPT_OUT, HUBSPOT_CLEAR, GOOGLE, META,
)  # fmt: skip
DELIMITED = tuple(base for base in BASES if base.is_delimited)


def changed(base: Base, change: Change) -> bytes:
    rows = [list(row) for row in base.rows]
    change(rows)
    return delimited(rows, base.separator)


def put(row: int, place: int | str, text: str) -> Change:
    def change(rows: list[Row]) -> None:
        rows[row][place if isinstance(place, int) else rows[0].index(place)] = text

    return change


def rename(name: str, new: str) -> Change:
    return put(0, name, new)


def add_column(header: str, *texts: str) -> Change:
    def change(rows: list[Row]) -> None:
        for i, row in enumerate(rows):
            row.append(header if i == 0 else texts[(i - 1) % len(texts)])

    return change


def drop_column(name: str) -> Change:
    def change(rows: list[Row]) -> None:
        place = rows[0].index(name)
        for row in rows:
            del row[place]

    return change


def faults_of_bytes(base: Base) -> Iterator[Case]:
    """What can be wrong with any delimited file, whatever the tool."""
    right = base.content()
    latin = right.replace(b'"\n', b' \xe9"\n', 1)
    lines = right.split(b"\n")
    separator = base.separator.encode()
    yield Case("latin-1", base, latin, "encoding")
    yield Case("byte order mark", base, b"\xef\xbb\xbf" + right, "encoding")
    yield Case("UTF-16", base, right.decode().encode("utf-16"), "encoding")
    yield Case("UTF-16 without mark", base, right.decode().encode("utf-16-le"), "encoding")
    yield Case("lost letters", base, right.replace(b'"\n', ' \ufffd"\n'.encode(), 1), "encoding")
    yield Case("CR LF", base, right.replace(b"\n", b"\r\n"), "line_ends")
    yield Case("mixed line ends", base, right.replace(b"\n", b"\r\n", 1), "line_ends")
    yield Case("cut off", base, right[:-1], "line_ends")
    yield Case("unclosed quote", base, right[:-2] + b"\n", "quoting")
    yield Case("bare quote", base, right[:-2] + b'"x"\n', "quoting")
    yield Case("blank row", base, right + b"\n", "blank_row")
    yield Case("blank row inside", base, right.replace(b"\n", b"\n\n", 1), "blank_row")
    yield Case("long row", base, b"\n".join([lines[0], lines[1] + separator + b'""', *lines[2:]]), "cell_count")
    if len(base.rows[0]) > 1:
        short = delimited([base.rows[0], base.rows[1][:-1], *base.rows[2:]], base.separator)
        yield Case("short row", base, short, "cell_count")
    yield Case("empty file", base, b"", "header_missing")
    yield Case("one empty line", base, b"\n", "header_missing")
    yield Case("empty first line", base, b"\n" + right, "header_missing")
    yield Case("no header", base, b"\n".join(lines[1:]), "header_missing")
    yield Case("header without a name", base, changed(base, add_column("", "")), "header_missing")
    if base is not GOOGLE:
        yield Case("same header twice", base, changed(base, add_column(base.rows[0][-1], "")), "header_repeated")
    yield Case("spreadsheet", base, right, "file_name", f"file_{DAY}.xlsx")
    yield Case("compressed", base, right, "file_name", f"file_{DAY}.csv.gz")
    yield Case("same person twice", base, right + lines[-2] + b"\n", "identifier_repeated")
    nobody = delimited([*base.rows, [""] * len(base.rows[0])], base.separator)
    yield Case("row of empty cells", base, nobody, "blank_row")
    if base.identifiers:
        rows = [list(row) for row in base.rows]
        for place in base.identifiers:
            rows[1][place] = ""
        yield Case("nobody named", base, delimited(rows, base.separator), "identifier_missing")


def _case(name: str, base: Base, change: Change, rule: str) -> Case:
    return Case(name, base, changed(base, change), rule)


def _json(name: str, base: Base, objects: list[Any], rule: str) -> Case:
    return Case(name, base, json_lines(objects), rule)


def faults_of_tools() -> Iterator[Case]:
    """What is wrong for one tool, and may be right for another."""
    yield from _ours()
    yield from _klaviyo()
    yield from _klaviyo_bodies()
    yield from _braze()
    yield from _braze_ingestion()
    yield from _sfmc()
    yield from _mailchimp()
    yield from _hubspot()
    yield from _google()
    yield from _meta()


FEW = 3
"""How many of the many spellings of a fault are tried on each tool but the first."""


def _cells(base: Base, name: str = "rec_1_name", price: str = "rec_1_price", most: int = FEW) -> Iterator[Case]:
    """Faults of cells that every tool's file can have."""
    starts = {
        "formula": "=1+1", "plus": "+1 offer", "minus": "-50% off", "at": "@SUM(A1)", "tab": "\ttea",
        "newline": "\ntea",
        "space before": "  =1", "no-break space": "\u00a0=1", "zero width": "\u200b\u2060@x", "full width": "\uff1dA1",
        "small": "\ufe62x", "superscript": "\u207a1", "hangul filler": "\u3164=1",
    }  # fmt: skip
    for told, text in list(starts.items())[-most:]:
        yield _case(f"dangerous: {told}", base, put(1, name, text), "dangerous_cell")
    yield _case("list as JSON", base, put(1, name, '["a", "b"]'), "array_in_cell")
    yield _case("NULL", base, put(1, name, "NULL"), "null_word")
    yield _case("decimal comma", base, put(1, price, "9,90"), "type_number")
    if most == FEW:
        return
    yield _case("list as Python writes it", base, put(2, name, "['a', 'b']"), "array_in_cell")
    yield _case("object", base, put(1, name, '{"id": 1}'), "array_in_cell")
    yield _case("nan", base, put(1, name, "nan"), "null_word")
    yield _case("thousands", base, put(1, price, "1,234.50"), "type_number")
    yield _case("with currency", base, put(1, price, "9.90 EUR"), "type_number")
    yield _case("exponent", base, put(1, price, "1e3"), "type_number")


def _dates(base: Base, name: str, most: int = FEW) -> Iterator[Case]:
    texts = ("31.08.2026", "08/31/2026", "2026-02-30", "2026-13-01", "1756684800", "2026-08-31T25:00:00Z", "today")
    for text in texts[:most]:
        yield _case(f"date {text}", base, put(1, name, text), "type_date")


def _emails(base: Base, name: str, most: int = FEW) -> Iterator[Case]:
    texts = (
        "ann", "ann@", "@example.com", "ann@example", "ann @example.com", " ann@example.com", "ann@example.com ",
        "a@example.com,b@example.com", "Ann <ann@example.com>", "ann@ex@mple.com", "ann..b@example.com",
        "ann@example..com", "ann\u200b@example.com", f"{'a' * 250}@example.com",
    )  # fmt: skip
    for text in texts[:most]:
        yield _case(f"address {text[:30]!r}", base, put(1, name, text), "email_shape")


def _phones(base: Base, name: str) -> Iterator[Case]:
    for text in ("01701234567", "491701234567", "+49 170 1234567", "+0491701234567", "+4917", "+49170x234567"):
        yield _case(f"phone {text}", base, put(1, name, text), "phone_shape")


def _subscribing(base: Base, most: int = FEW) -> Iterator[Case]:
    fields = {
        "subscribed": "true", "Opted In": "yes", "$consent": "email", "consent": "sms", "status": "subscribed",
        "Subscriber Status": "Subscribed", "status_if_new": "subscribed", "email_subscribe": "opted_in",
        "Accepts Marketing": "1", "newsletter": "yes", "opt_in_time": "2026-08-31", "unsubscribed": "false",
        "marketing_consent": "granted", "Email Marketing Consent": "SUBSCRIBED", "Opted out of all email": "No",
    }  # fmt: skip
    for header, text in list(fields.items())[-most:]:
        yield _case(f"subscribes: {header}", base, add_column(header, text, ""), "subscription_field")


def _ours() -> Iterator[Case]:
    yield from _cells(EMAIL_FILE, most=99)
    yield from _cells(CRM_FILE)
    yield from _dates(EMAIL_FILE, "send_not_before", 99)
    yield from _emails(EMAIL_FILE, "email", 99)
    yield _case("date with a space", EMAIL_FILE, put(1, "send_not_before", "2026-09-01 06:00:00"), "type_date")
    yield _case("country in words", EMAIL_FILE, put(1, "country", "Germany"), "country_shape")
    yield _case("UK", CRM_FILE, put(1, "country", "UK"), "country_shape")
    yield _case("language in words", CRM_FILE, put(1, "language", "German"), "language_shape")
    yield _case("currency sign", EMAIL_FILE, put(1, "rec_1_currency", "€"), "currency_shape")
    yield _case("line end in a header", EMAIL_FILE, rename("country", "coun\ntry"), "header_unknown")
    yield _case("unknown column", EMAIL_FILE, add_column("score", "0.5"), "header_unknown")
    yield _case("column of another tool", CRM_FILE, add_column("email_subscribe", ""), "header_unknown")
    yield _case("capital letters", EMAIL_FILE, rename("first_name", "First_Name"), "header_case")
    yield _case("no address column", EMAIL_FILE, drop_column("email"), "header_missing")
    yield _case("no recommendations", CRM_FILE, drop_column("rec_1_id"), "header_missing")
    yield _case("recommendations in a clear file", EMAIL_CLEAR, put(1, "rec_1_id", "tea-1"), "clear_holds_values")
    yield _case("no reason in a remove file", EMAIL_REMOVE, drop_column("reason"), "header_missing")
    yield _case("dangerous topic", EMAIL_CHECK_IN, put(1, "topic_1", "=tea"), "dangerous_cell")
    yield _case("dangerous product", CATALOGUE, put(1, "name", "@tea"), "dangerous_cell")
    first = CRM_OBJECTS[0]
    yield _json("list in a line", CRM_JSON, [{**each, "rec_1_id": ["a"]} for each in CRM_OBJECTS], "array_in_cell")
    yield _json(
        "other keys", CRM_JSON, [{k: v for k, v in first.items() if k != "rec_2_price"}, *CRM_OBJECTS[1:]], "cell_count"
    )
    yield _json("unknown key", CRM_JSON, [{**each, "score": 1} for each in CRM_OBJECTS], "header_unknown")
    yield _json("line that is a list", CRM_JSON, [*CRM_OBJECTS, ["c9"]], "json_line")
    yield _json("person twice", CRM_JSON, [*CRM_OBJECTS, first], "identifier_repeated")
    yield _json("nobody", CRM_JSON, [{**first, "customer_id": None}, *CRM_OBJECTS[1:]], "identifier_missing")
    yield _json("price in words", CRM_JSON, [{**first, "rec_1_price": "9,90"}, *CRM_OBJECTS[1:]], "type_number")
    yield Case("name twice in a line", CRM_JSON, name_twice(CRM_OBJECTS, "customer_id"), "header_repeated")
    yield Case("half a line", CRM_JSON, json_lines(CRM_OBJECTS)[:-9] + b"\n", "json_line")
    yield Case("blank line", CRM_JSON, json_lines(CRM_OBJECTS) + b"\n", "blank_row")
    yield Case("CR LF", CRM_JSON, json_lines(CRM_OBJECTS).replace(b"\n", b"\r\n"), "line_ends")
    yield Case("latin-1", CRM_JSON, json_lines(CRM_OBJECTS).decode().encode("latin-1"), "encoding")
    yield Case("one array", CRM_JSON, json.dumps(CRM_OBJECTS).encode() + b"\n", "json_line")
    yield Case("half a file", CRM_PARQUET, parquet(CRM_OBJECTS)[:-20], "unreadable")
    yield Case("CSV by the name of Parquet", CRM_PARQUET, delimited(CRM_ROWS), "unreadable")
    yield Case("list", CRM_PARQUET, parquet([{**each, "rec_1_id": ["a"]} for each in CRM_OBJECTS]), "array_in_cell")
    yield Case("person twice", CRM_PARQUET, parquet([*CRM_OBJECTS, first]), "identifier_repeated")
    yield Case(
        "date in words", CRM_PARQUET, parquet([{**each, "run_date": "today"} for each in CRM_OBJECTS]), "type_date"
    )


def _klaviyo() -> Iterator[Case]:
    yield from _cells(KLAVIYO)
    yield from _dates(KLAVIYO, "send_not_before")
    yield _case("German birthday", KLAVIYO, add_column("Birthday", "31.12.1990", ""), "type_date")
    yield from _emails(KLAVIYO, "Email Address")
    yield from _phones(KLAVIYO, "Phone Number")
    yield from _subscribing(KLAVIYO, 99)
    yield _case("small letters", KLAVIYO, rename("Email Address", "email address"), "header_case")
    yield _case("name in snake case", KLAVIYO, rename("First Name", "first_name"), "header_case")
    first = [row[::-1] for row in KLAVIYO.rows]
    yield Case("address not first", KLAVIYO, delimited(first), "header_missing")
    yield _case("no address", KLAVIYO_REMOVE, drop_column("Email Address"), "header_missing")
    yield _case("telephone twice", KLAVIYO, put(3, "Phone Number", "+491701234567"), "identifier_repeated")
    yield _case("address twice in other case", KLAVIYO, put(3, 0, "ANN@example.com"), "identifier_repeated")
    big = delimited(
        [KLAVIYO.rows[0], *[[f"p{n}@example.com", "", "x" * 1_000_000, *KLAVIYO.rows[1][3:]] for n in range(50)]]
    )
    yield Case("more than 50 MB", KLAVIYO, big, "limit_bytes")


def _klaviyo_bodies() -> Iterator[Case]:
    base, right = KLAVIYO_BODIES, KLAVIYO_BODIES.rows
    yield _json("bare profile", base, [*right, profile(9)], "json_shape")
    yield _json("other job", base, [{"data": {**right[0]["data"], "type": "profile"}}], "json_shape")
    yield _json("no profiles", base, [body()], "json_shape")
    for name in ("first_name", "rec_1_id"):
        yield Case(f"{name} twice in a profile", base, name_twice(right, name), "header_repeated")
    yield _json("list of bodies", base, [right], "json_shape")
    wrong = body(profile(1))
    wrong["data"]["attributes"]["profiles"]["data"][0]["type"] = "person"
    yield _json("not a profile", base, [wrong], "json_shape")
    yield Case("half a line", base, json_lines(right)[:-20] + b"\n", "json_line")
    yield Case("not a number", base, json_lines(right).replace(b"9.9", b"NaN"), "json_line")
    yield Case("blank line", base, json_lines(right) + b"\n", "blank_row")
    yield _json("nobody", base, [body(profile(1, email="", phone_number=None))], "identifier_missing")
    yield _json("address", base, [body(profile(1, email="ann@example"))], "email_shape")
    yield _json("telephone", base, [body(profile(1, phone_number="0170 1234567"))], "phone_shape")
    yield _json("locale", base, [body(profile(1, locale="German"))], "language_shape")
    yield _json("same address", base, [*right, body(profile(1, phone_number="+4366400000000"))], "identifier_repeated")
    yield _json("same telephone", base, [*right, body(profile(1, email="x@example.com"))], "identifier_repeated")
    same = [body(profile(1, external_id="c1"), profile(2, external_id="c1"))]
    yield _json("same external id", base, same, "identifier_repeated")
    yield _json("long external id", base, [body(profile(1, external_id="c" * 256))], "limit_cell_characters")
    yield _json("own field beside", base, [body(profile(1, rec_1_id="tea-1"))], "header_unknown")
    yield _json("subscriptions", base, [body(profile(1, subscriptions={"email": {}}))], "subscription_field")
    yield _json("consent", base, [body(profile(1, properties={"$consent": ["email"]}))], "subscription_field")
    yield _json(
        "null in a clear file", KLAVIYO_CLEAR, [body(profile(1, properties={"rec_1_id": None}))], "clear_without_effect"
    )
    long = {"rec_1_name": "x" * 100_000}
    yield _json("large profile", base, [body(profile(1, properties=long))], "limit_profile_bytes")
    few = {"rec_1_name": "x" * 80_000}
    many = [{"email": f"p{n}@example.com", "properties": few} for n in range(63)]
    yield _json("request of more than 5 MB", base, [body(*many)], "limit_bytes")
    yield _json("10,001 profiles", base, [body(*[{"email": f"p{n}@example.com"} for n in range(10_001)])], "limit_rows")


def _braze() -> Iterator[Case]:
    yield from _cells(BRAZE)
    yield from _dates(BRAZE, "send_not_before")
    yield from _emails(BRAZE, "email")
    yield from _phones(BRAZE, "phone")
    yield from _subscribing(BRAZE)
    yield _case("date with a space", BRAZE, put(1, "send_not_before", "2026-09-01 06:00:00"), "type_date")
    for name, wrong in {"first_name": "First_name", "external_id": "External ID", "time_zone": "timezone"}.items():
        yield _case(f"header {wrong}", BRAZE, rename(name, wrong), "header_case")
    yield _case("two ids", BRAZE, add_column("braze_id", "b1", "b2", "b3"), "mixed_identifiers")
    yield _case("id and alias", BRAZE_ALIAS, add_column("external_id", "c1", "c2"), "mixed_identifiers")
    yield _case(
        "telephone alone", BRAZE_EMAIL, lambda rows: rows.append(["", "+4366400000000", "pot"]), "identifier_missing"
    )
    yield _case("alias without label", BRAZE_ALIAS, drop_column("user_alias_label"), "header_missing")
    yield _case("no identifier", BRAZE_CLEAR, rename("external_id", "customer"), "header_missing")
    yield _case("language and region", BRAZE, put(1, "language", "de-AT"), "language_shape")
    yield _case("country in words", BRAZE, put(1, "country", "Germany"), "country_shape")
    yield _case("time zone", BRAZE, put(1, "time_zone", "CET+1"), "timezone_shape")
    yield _case("yes", BRAZE, put(1, "is_member", "Yes"), "type_boolean")
    yield _case("push", BRAZE, add_column("push_subscribe", "opted_in"), "subscription_field")
    yield _case("group", BRAZE, add_column("subscription_state", "subscribed"), "subscription_field")
    yield _case("empty cells that clear nothing", BRAZE_CLEAR, put(1, "rec_1_id", ""), "clear_without_effect")
    yield _case("catalogue id", BRAZE_CATALOGUE, put(1, "id", "tea 1"), "id_shape")
    yield _case("catalogue id with an umlaut", BRAZE_CATALOGUE, put(1, "id", "grün"), "id_shape")
    yield _case("catalogue header", BRAZE_CATALOGUE, rename("name", "item name"), "header_unknown")
    yield _case("catalogue header case", BRAZE_CATALOGUE, rename("id", "ID"), "header_case")
    yield Case(
        "id not first", BRAZE_CATALOGUE, delimited([row[::-1] for row in BRAZE_CATALOGUE.rows]), "header_missing"
    )
    yield _case("long value", BRAZE_CATALOGUE, put(1, "name", "x" * 5_001), "limit_cell_characters")
    yield _case("long header", BRAZE_CATALOGUE, rename("name", "n" * 251), "limit_header")
    wide = [[*row, *[f"f{n}" if i == 0 else "" for n in range(996)]] for i, row in enumerate(BRAZE_CATALOGUE.rows)]
    yield Case("1,001 columns", BRAZE_CATALOGUE, delimited(wide), "limit_columns")
    yield _case("catalogue NULL", BRAZE_CATALOGUE, put(1, "name", "NULL"), "null_word")
    yield _case("catalogue list", BRAZE_CATALOGUE, put(1, "name", '["a"]'), "array_in_cell")
    yield _case("catalogue boolean", BRAZE_CATALOGUE, put(1, "is_new", "1"), "type_boolean")


def _braze_ingestion() -> Iterator[Case]:
    base, right = BRAZE_JSON, BRAZE_JSON.rows
    wrongs: list[tuple[str, dict[str, Any], str]] = [
        ("payload as object", {"PAYLOAD": {"rec_1_id": "tea-1"}}, "payload_string"),
        ("payload that is no JSON", {"PAYLOAD": "rec_1_id: tea-1"}, "payload_shape"),
        ("payload as list", {"PAYLOAD": "[1]"}, "payload_shape"),
        ("empty payload", {"PAYLOAD": "{}"}, "payload_shape"),
        ("whole request", {"PAYLOAD": json.dumps({"attributes": [{"rec_1_id": "tea-1"}]})}, "payload_shape"),
        ("identifier in the payload", {"PAYLOAD": payload(external_id="c9")}, "payload_shape"),
        ("subscribes", {"PAYLOAD": payload(email_subscribe="opted_in")}, "subscription_field"),
        ("address in the payload", {"PAYLOAD": payload(email="ann@example")}, "email_shape"),
        ("country in the payload", {"PAYLOAD": payload(country="Germany")}, "country_shape"),
        ("language in the payload", {"PAYLOAD": payload(language="de-AT")}, "language_shape"),
        ("same person", {"EXTERNAL_ID": "c2"}, "identifier_repeated"),
        ("nobody", {"EXTERNAL_ID": ""}, "identifier_missing"),
    ]
    group = {"subscription_group_id": "g", "subscription_state": "subscribed"}
    wrongs.append(("joins a group", {"PAYLOAD": payload(subscription_groups=[group])}, "subscription_field"))
    for name, change, rule in wrongs:
        yield _json(name, base, [ingested(1, **change), *right[1:]], rule)
    for name, change, rule in wrongs[1:]:
        yield Case(f"Parquet: {name}", BRAZE_PARQUET, parquet([ingested(1, **change), *right[1:]]), rule)
    yield _json(
        "other identifier in a line",
        base,
        [*right, {"EMAIL": "a@example.com", "PAYLOAD": payload()}],
        "mixed_identifiers",
    )
    yield _json("two identifiers", base, [{**each, "EMAIL": "a@example.com"} for each in right], "mixed_identifiers")
    yield Case("identifier twice in a line", base, name_twice(right, "EXTERNAL_ID"), "header_repeated")
    field_twice = payload().replace('"rec_1_id"', '"rec_1_id": "pot", "rec_1_id"')
    yield _json("field twice in the payload", base, [ingested(1, PAYLOAD=field_twice), *right[1:]], "header_repeated")
    yield _json("updated at", base, [{**each, "UPDATED_AT": "2026-08-31"} for each in right], "header_unknown")
    yield _json("no payload", base, [{"EXTERNAL_ID": "c1"}, {"EXTERNAL_ID": "c2"}], "header_missing")
    yield _json("no identifier", base, [{"PAYLOAD": payload()}], "header_missing")
    yield _json("names in two cases", base, [{"external_id": "c1", "PAYLOAD": payload()}], "header_case")
    yield _json("wrong address", base, [{"EMAIL": "ann@example", "PAYLOAD": payload()}], "email_shape")
    yield _json("wrong telephone", base, [{"PHONE": "0170", "PAYLOAD": payload()}], "phone_shape")
    yield _json("line that is text", base, [*right, "c4"], "json_line")
    yield Case("one line is half", base, json_lines(right)[:-12] + b"\n", "json_line")
    yield Case("blank line", base, json_lines(right[:1]) + b"\n" + json_lines(right[1:]), "blank_row")
    yield Case("byte order mark", base, b"\xef\xbb\xbf" + json_lines(right), "encoding")
    yield Case("Parquet: half a file", BRAZE_PARQUET, parquet(right)[:-9], "unreadable")
    objects = [{"EXTERNAL_ID": f"c{n}", "PAYLOAD": {"rec_1_id": "tea-1"}} for n in (1, 2)]
    yield Case("Parquet: payload as structure", BRAZE_PARQUET, parquet(objects), "array_in_cell")


def _sfmc() -> Iterator[Case]:
    for base in (SFMC, SFMC_TAB):
        yield from _cells(base)
    yield from _dates(SFMC, "send_not_before")
    yield from _emails(SFMC, "EmailAddress")
    yield from _subscribing(SFMC)
    yield _case("boolean in words", SFMC, put(1, "Is_Member", "maybe"), "type_boolean")
    yield _case("active", SFMC_OPT_OUT, put(1, "Subscriber Status", "Active"), "subscription_field")
    yield _case(
        "status in small letters", SFMC_OPT_OUT, rename("Subscriber Status", "subscriber status"), "header_case"
    )
    yield _case("no key", SFMC_CLEAR, rename("SubscriberKey", "Who"), "header_missing")
    yield _case("recommendations in a clear file", SFMC_CLEAR, put(1, "rec_1_id", "tea-1"), "clear_holds_values")
    yield Case("commas in a .txt", SFMC_TAB, b"SubscriberKey,rec_1_id\nc1,tea-1\n", "header_missing")
    yield Case("tabs in a .csv", SFMC, b"SubscriberKey\trec_1_id\nc1\ttea-1\n", "header_missing")


def _mailchimp() -> Iterator[Case]:
    yield from _cells(MAILCHIMP, "R1_NAME", "R1_PRICE")
    yield from _emails(MAILCHIMP, "Email Address")
    yield from _subscribing(MAILCHIMP)
    yield _case("umlaut before the @", MAILCHIMP, put(1, "Email Address", "änn@example.com"), "email_shape")
    yield _case("256 bytes", MAILCHIMP, put(1, "R1_WHY", "ü" * 128), "limit_cell_bytes")
    yield _case("long tag", MAILCHIMP, rename("R1_NAME", "RECOMMENDED"), "limit_header")
    yield _case("header in small letters", MAILCHIMP, rename("Email Address", "email address"), "header_case")
    yield _case("UK", MAILCHIMP, add_column("COUNTRY", "UK", "DE"), "country_shape")
    yield _case("no address", MAILCHIMP, rename("Email Address", "WHO"), "header_missing")
    yield _case("same address in capitals", MAILCHIMP, put(3, 0, "ANN@EXAMPLE.COM"), "identifier_repeated")


def _hubspot() -> Iterator[Case]:
    yield from _cells(HUBSPOT, "Rec 1 name", "Rec 1 price")
    yield from _dates(HUBSPOT, "Run date")
    yield from _emails(HUBSPOT, "Email")
    yield from _emails(HUBSPOT_OPT_OUT, "Email")
    yield from _subscribing(HUBSPOT)
    yield _case(
        "marketing contact", HUBSPOT, add_column("Marketing contact status", "Marketing contact"), "subscription_field"
    )
    yield _case(
        "legal basis", HUBSPOT, add_column("Legal basis for processing contact's data", "Consent"), "subscription_field"
    )
    yield _case(
        "taken back", HUBSPOT_OPT_OUT, add_column("Unsubscribed from all email", "false", "true"), "subscription_field"
    )
    yield _case("small letters", HUBSPOT, rename("Email", "email"), "header_case")
    yield _case("opt-out in capitals", HUBSPOT_OPT_OUT, rename("Email", "EMAIL"), "header_case")
    yield _case("no address", HUBSPOT, rename("Email", "Who"), "header_missing")
    yield _case("opt-out by id", HUBSPOT_OPT_OUT, rename("Email", "Record ID"), "header_missing")
    yield _case("empty cells that clear nothing", HUBSPOT_CLEAR, put(1, "Rec 1 id", ""), "clear_without_effect")
    wide = [
        [*row, *[f"Field {n}" if i == 0 else "" for n in range(1_000 - len(row))]] for i, row in enumerate(HUBSPOT.rows)
    ]
    yield Case("1,000 columns", HUBSPOT, delimited(wide), "limit_columns")
    many = "".join(f"{n}@x.de\n" for n in range(1_048_576))
    yield Case("too many rows", HUBSPOT_OPT_OUT, f"Email\n{many}".encode(), "limit_rows")


def _hashes(base: Base, email: str, phone: str) -> Iterator[Case]:
    wrongs = {
        "plain address": ("ann@example.com", "hash_plain"),
        "capital letters": (sha("ann@example.com").upper(), "hash_upper_case"),
        "cut off": (sha("ann@example.com")[:63], "hash_shape"),
        "MD5": (hashlib.md5(b"ann@example.com").hexdigest(), "hash_shape"),  # noqa: S324 (that is the fault)
        "SHA-1": (hashlib.sha1(b"ann@example.com").hexdigest(), "hash_shape"),  # noqa: S324 (that is the fault)
        "Base64": ("tGFbhlwHNVHvY9SVuMPBrDzlV3rTCkTm3iWUSpe+PmY=", "hash_shape"),
        "not hexadecimal": ("g" * 64, "hash_shape"),
        "space before": (f" {sha('ann@example.com')}", "hash_shape"),
        "of nothing": (NOTHING, "hash_of_nothing"),
        "of a space": (sha(" "), "hash_of_nothing"),
        "of null": (sha("null"), "hash_of_nothing"),
        "of the hash of nothing": (sha(NOTHING), "hash_of_nothing"),
    }
    for name, (text, rule) in wrongs.items():
        yield _case(f"hash {name}", base, put(1, email, text), rule)
    for text in ("+491701234567", "0170 1234567"):
        yield _case(f"plain telephone {text}", base, put(1, phone, text), "hash_plain")
    yield _case("of a hash", base, put(2, email, sha(sha("ann@example.com"))), "hash_of_hash")
    yield _case("other column's hash again", base, put(3, phone, sha(sha("ann@example.com"))), "hash_of_hash")
    yield _case("same address twice", base, put(2, email, sha("ann@example.com")), "identifier_repeated")


def _google() -> Iterator[Case]:
    yield from _hashes(GOOGLE, "Email", "Phone")
    yield _case("plain name", GOOGLE, put(1, "First Name", "ann"), "hash_shape")
    yield _case("hashed country", GOOGLE, put(1, "Zip", sha("10115")), "hash_unwanted")
    yield _case("country in words", GOOGLE, put(1, "Country", "Germany"), "country_shape")
    yield _case("UK", GOOGLE, put(1, "Country", "uk"), "country_shape")
    yield _case("no postcode", GOOGLE, put(1, "Zip", ""), "address_incomplete")
    yield _case("country alone", GOOGLE, put(2, "Country", "DE"), "address_incomplete")
    yield _case("no column of postcodes", GOOGLE, drop_column("Zip"), "address_incomplete")
    yield _case("small letters", GOOGLE, rename("Phone", "phone"), "header_case")
    yield _case("German header", GOOGLE, add_column("PLZ", "10115"), "header_unknown")
    yield _case("column of our own", GOOGLE, add_column("customer_id", "c1", "c2", "c3"), "header_unknown")
    yield _case("consent", GOOGLE, add_column("ad_user_data", "GRANTED"), "header_unknown")
    yield _case("country twice", GOOGLE, add_column("Country", ""), "header_repeated")
    yield _case("dangerous postcode", GOOGLE, put(1, "Zip", "=10115"), "dangerous_cell")


def _meta() -> Iterator[Case]:
    yield from _hashes(META, "email", "phone")
    yield _case("plain country", META, put(1, "country", "de"), "hash_shape")
    yield _case("hashed device", META, put(1, "madid", sha("x")), "identifier_shape")
    yield _case("device", META, put(1, "madid", "AECE52E7"), "identifier_shape")
    yield _case("value", META, put(1, "value", "12,5"), "type_number")
    yield _case("capitals", META, rename("email", "EMAIL"), "header_case")
    yield _case("name in words", META, rename("fn", "first_name"), "header_unknown")
    for header in ("extern_id", "customer_id"):
        yield _case(f"column {header}", META, add_column(header, "c1", "c2", "c3"), "header_unknown")
    four = [
        [*row, *([header] * 3 if i == 0 else ["", "", ""])] for i, row in enumerate(META.rows) for header in ["email"]
    ]
    yield Case("four addresses", META, delimited(four), "header_repeated")
    for name in (
        "diabetes_buyers",
        "Bad-Credit",
        "weightLoss",
        "low_income",
        "allergiker",
        "schwangere",
        "cancer",
        "debt",
    ):
        yield Case(f"name {name}", META, META.content(), "audience_name", f"{name}_add_{DAY}.csv")


def quick_corpus() -> list[Case]:
    """The cases for every day: the faults of bytes on one file, and of every tool the first that breaks each rule."""
    first: dict[tuple[str, str], Case] = {}
    for case in faults_of_tools():
        if len(case.content) < LARGE:
            first.setdefault((case.base.kind, case.rule), case)
    return [*faults_of_bytes(EMAIL_FILE), *first.values()]


def thorough_corpus() -> list[Case]:
    """All the others."""
    every_day = {(case.base.file, case.name) for case in quick_corpus()}
    every = [*(case for base in DELIMITED for case in faults_of_bytes(base)), *faults_of_tools()]
    return [case for case in every if (case.base.file, case.name) not in every_day]
