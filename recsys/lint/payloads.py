"""Files of Braze Cloud Data Ingestion: an identifier and PAYLOAD, a JSON string with the fields of one user."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from recsys.database import literal
from recsys.lint import cells
from recsys.lint.cells import Cells, Check, column, text
from recsys.lint.jsonl import NAMES_TWICE, NOT_AN_OBJECT, pointer
from recsys.lint.octets import layout_of
from recsys.lint.report import Finding, Outcome
from recsys.lint.shapes import bad_country, bad_date, bad_email, bad_phone, bad_two_letter_language
from recsys.lint.subscription import gives_subscription

MAX_BYTES = 512_000_000
_FAMILIES = (("EXTERNAL_ID",), ("BRAZE_ID",), ("ALIAS_NAME", "ALIAS_LABEL"), ("EMAIL",), ("PHONE",))
_NAMES = tuple(name for family in _FAMILIES for name in family)
_NOT_FIELDS = (
    "attributes",
    "events",
    "purchases",
    "external_id",
    "braze_id",
    "user_alias",
    "alias_name",
    "alias_label",
)
"""Keys of a whole request, and identifiers, which have columns of their own."""
_SHAPES = {
    "email": ("email_shape", bad_email),
    "phone": ("phone_shape", bad_phone),
    "country": ("country_shape", bad_country),
    "language": ("language_shape", bad_two_letter_language),
    "dob": ("type_date", bad_date),
}


@dataclass(frozen=True)
class Payloads:
    """JSON lines or Parquet with one identifier family and PAYLOAD, in capitals or in small letters."""

    def lint(self, path: Path) -> Outcome:
        """One line that is no JSON makes Braze skip the whole file, so nothing else is looked at then."""
        size = path.stat().st_size
        found = [Finding("limit_bytes", f"{size:,} bytes, at most {MAX_BYTES:,}")] if size > MAX_BYTES else []
        with _opened(path) as content:
            if isinstance(content, tuple):
                return Outcome(0, (*found, *content))
            headers = list(_headers(content.header)) if content.header else []
            if headers or not content.rows:
                return Outcome(content.rows, (*found, *headers))
            return Outcome(content.rows, (*found, *_rows(content)))


@contextmanager
def _opened(path: Path) -> Iterator[Cells | tuple[Finding, ...]]:
    if path.suffix == ".parquet":
        with cells.parquet(path) as content:
            yield (content,) if isinstance(content, Finding) else content
        return
    layout = layout_of(path, None)
    if layout.findings:
        yield layout.findings
        return
    with cells.lines(path, layout.rows) as lines:
        unfit = tuple(lines.findings([Check("json_line", NOT_AN_OBJECT)]))
        unfit = unfit or tuple(lines.findings([Check("header_repeated", NAMES_TWICE)]))
        yield unfit or _table(lines)


def _table(lines: Cells) -> Cells | tuple[Finding, ...]:
    keys = lines.con.execute("SELECT DISTINCT unnest(json_keys(c0)) FROM cells ORDER BY 1").fetchall()
    header = tuple(str(key) for (key,) in keys)
    is_payload = [f"json_type(c0, {literal(pointer(key))})" for key in header if key.upper() == "PAYLOAD"]
    objects = tuple(lines.findings([Check("payload_string", f"{kind} <> 'VARCHAR'", "PAYLOAD") for kind in is_payload]))
    if objects:
        return objects
    names = [f"json_extract_string(c0, {literal(pointer(key))}) AS {column(i)}" for i, key in enumerate(header)]
    if names:
        lines.con.execute(f"CREATE TEMP VIEW flat AS SELECT {', '.join(names)} FROM cells")
    return Cells(lines.con, header, lines.rows, view="flat")


def _headers(header: tuple[str, ...]) -> Iterator[Finding]:
    folded = [name.upper() for name in header]
    families = [" + ".join(family) for family in _FAMILIES if set(family) & set(folded)]
    if len(families) > 1:
        yield Finding("mixed_identifiers", " and ".join(families))
    elif not any(set(family) <= set(folded) for family in _FAMILIES):
        yield Finding("header_missing", f"none of {' | '.join(' + '.join(family) for family in _FAMILIES)}")
    if "PAYLOAD" not in folded:
        yield Finding("header_missing", "PAYLOAD")
    if not all(map(str.isupper, header)) and not all(map(str.islower, header)):
        yield Finding("header_case", "names neither all in capitals nor all in small letters")
    unknown = [str(i + 1) for i, name in enumerate(folded) if name not in (*_NAMES, "PAYLOAD")]
    if unknown:
        yield Finding("header_unknown", f"name {', '.join(unknown)}: only the identifier and PAYLOAD are read")


def _rows(content: Cells) -> Iterator[Finding]:
    place = {name.upper(): i for i, name in enumerate(content.header)}
    family = next(family for family in _FAMILIES if set(family) <= set(place))
    missing = " OR ".join(f"{text(place[name])} = ''" for name in family)
    payload = f"CASE WHEN json_valid({text(place['PAYLOAD'])}) THEN c{place['PAYLOAD']} END"
    keys = f"json_keys({payload})"
    is_object = f"coalesce(json_type({payload}) = 'OBJECT', false) AND len({keys}) > 0"
    other = ", ".join(map(literal, _NOT_FIELDS))
    checks = [
        Check("identifier_missing", missing, " + ".join(family)),
        Check("payload_shape", f"NOT ({is_object})", "PAYLOAD: not a JSON object with fields"),
        Check("header_repeated", f"len(list_distinct({keys})) < len({keys})", "PAYLOAD: a field twice"),
        Check(
            "payload_shape",
            f"len(list_filter({keys}, lambda k: k IN ({other}))) > 0",
            "PAYLOAD: a whole request or an identifier in it",
        ),
        *[Check(rule, shape(text(place[name])), name) for name, (rule, shape) in _ADDRESSES.items() if name in family],
    ]
    groups = f"json_extract_string({payload}, '/subscription_groups')"
    checks.append(
        Check(
            "subscription_field",
            f'regexp_matches({groups}, \'"subscription_state"\\s*:\\s*"subscribed"\')',
            "subscription_groups",
        )
    )
    names = content.con.execute(f"SELECT DISTINCT unnest({keys}) FROM {content.view} ORDER BY 1").fetchall()
    for (name,) in names:
        value = f"coalesce(json_extract_string({payload}, {literal(pointer(name))}), '')"
        subscribes = gives_subscription(name, value)
        if subscribes:
            checks.append(Check("subscription_field", f"{value} <> '' AND {subscribes}", "PAYLOAD"))
        if name in _SHAPES:
            rule, shape = _SHAPES[name]
            checks.append(Check(rule, shape(value), f"PAYLOAD {name}"))
    yield from content.findings(checks)
    key = ", ".join(column(place[name]) for name in family)
    joined = f"lower({key})" if family == ("EMAIL",) else f"concat_ws(chr(31), {key})"
    yield from content.repeated(f"CASE WHEN NOT ({missing}) THEN {joined} END", " + ".join(family))


_ADDRESSES = {"EMAIL": ("email_shape", bad_email), "PHONE": ("phone_shape", bad_phone)}
