"""Klaviyo: CSV list import, and request bodies of the bulk import API, one per line.

From Klaviyo's help (list upload: first header, 50 MB, one address or number per row, none twice) and API reference
(10,000 profiles, 5 MB, 100 KB per profile; fields of a profile; null clears nothing).
"""

from dataclasses import dataclass
from pathlib import Path

from recsys.lint import cells
from recsys.lint.cells import Cells, Check
from recsys.lint.form import MB, Form
from recsys.lint.jsonl import NOT_JSON, pointer
from recsys.lint.octets import layout_of
from recsys.lint.report import Finding, Outcome
from recsys.lint.shapes import bad_email, bad_language, bad_phone, bad_spaced_date
from recsys.lint.subscription import gives_subscription

MAX_PROFILES, MAX_BODY, MAX_PROFILE, MAX_EXTERNAL_ID = 10_000, 5 * MB, 100_000, 255
_DATE = ("type_date", bad_spaced_date)
_SHAPES = {"country": None, "timezone": None, "date": _DATE, "Birthday": _DATE}
_FIELDS = (
    "email", "phone_number", "external_id", "anonymous_id", "first_name", "last_name", "organization", "locale",
    "title", "image", "location", "properties",
)  # fmt: skip

LIST = Form(
    first=("Email Address", "Phone Number", "Email"),
    identifiers=(("Email Address",), ("Phone Number",), ("Email",)),
    names=("First Name", "Last Name"),
    shapes=_SHAPES,
    max_bytes=50 * MB,
)


@dataclass(frozen=True)
class Bodies:
    """The lines of a file as requests to the bulk import."""

    nulls_matter: bool = False
    """In a clear file a null is a fault: the bulk import leaves such a field as it was."""

    def lint(self, path: Path) -> Outcome:
        """Rows are profiles. An empty file is an audience of nobody."""
        layout = layout_of(path, None)
        if layout.findings or not layout.rows:
            return Outcome(layout.rows, layout.findings)
        with cells.lines(path, layout.rows) as lines:
            unfit = tuple(lines.findings([Check("json_line", NOT_JSON)])) or tuple(lines.findings(_bodies()))
            if unfit and unfit[0].rule in {"json_line", "json_shape"}:
                return Outcome(layout.rows, unfit)
            profiles = _profiles(lines)
            return Outcome(profiles.rows, (*unfit, *self._judged(profiles)))

    def _judged(self, profiles: Cells) -> tuple[Finding, ...]:
        field = {name: f"coalesce(fields[{i + 1}], '')" for i, name in enumerate(_FIELDS)}
        known = ", ".join(f"'{name}'" for name in (*_FIELDS, "subscriptions"))
        filled = " AND ".join(f"{field[name]} = ''" for name in ("email", "phone_number", "external_id"))
        checks = [
            Check(
                "json_shape", "kind <> 'profile' OR kind IS NULL OR keys IS NULL", "type and attributes of a profile"
            ),
            Check(
                "header_unknown",
                f"len(list_filter(keys, lambda k: k NOT IN ({known}))) > 0",
                "attributes; own fields go below properties",
            ),
            Check("header_repeated", "len(list_distinct(keys)) < len(keys)", "attributes: a field twice"),
            Check("header_repeated", "len(list_distinct(own)) < len(own)", "properties: a field twice"),
            Check("limit_profile_bytes", f"strlen(profile) > {MAX_PROFILE}", f"at most {MAX_PROFILE:,} bytes"),
            Check("identifier_missing", filled, "email, phone_number or external_id"),
            Check("email_shape", bad_email(field["email"]), "email"),
            Check("phone_shape", bad_phone(field["phone_number"]), "phone_number"),
            Check("language_shape", bad_language(field["locale"]), "locale"),
            Check("limit_cell_characters", f"length({field['external_id']}) > {MAX_EXTERNAL_ID}", "external_id"),
            Check("subscription_field", "list_contains(keys, 'subscriptions')", "subscriptions"),
        ]
        names = [str(name) for (name,) in profiles.con.execute("SELECT DISTINCT unnest(own) FROM profiles").fetchall()]
        for name in sorted(names):
            value = f"coalesce(json_extract_string(properties, '{_sql(pointer(name))}'), '')"
            subscribes = gives_subscription(name, value)
            if subscribes:
                checks.append(
                    Check("subscription_field", f"list_contains(own, '{_sql(name)}') AND {subscribes}", "properties")
                )
        if self.nulls_matter:
            nulls = "regexp_matches(CAST(properties AS VARCHAR), ':\\s*null\\s*[,}]')"
            checks.append(Check("clear_without_effect", nulls, "null in properties"))
        found = [*profiles.findings(checks)]
        for name, key in (("email", "lower(fields[1])"), ("phone_number", "fields[2]"), ("external_id", "fields[3]")):
            found += profiles.repeated(f"nullif({key}, '')", name)
        return tuple(found)


def _bodies() -> list[Check]:
    kind = "coalesce(json_extract_string(c0, '/data/type'), '') <> 'profile-bulk-import-job'"
    data = "'/data/attributes/profiles/data'"
    count = f"json_array_length(c0, {data})"
    return [
        Check("json_shape", f"{kind} OR coalesce(json_type(c0, {data}), '') <> 'ARRAY' OR {count} = 0", "request body"),
        Check("limit_bytes", f"strlen(c0) > {MAX_BODY}", f"request body, at most {MAX_BODY:,} bytes"),
        Check("limit_rows", f"{count} > {MAX_PROFILES}", f"profiles in a request body, at most {MAX_PROFILES:,}"),
    ]


def _profiles(lines: Cells) -> Cells:
    fields = ", ".join(f"'/attributes/{name}'" for name in _FIELDS)
    lines.con.execute(
        "CREATE TEMP VIEW profiles AS SELECT CAST(profile AS VARCHAR) AS profile, "
        "json_extract_string(profile, '/type') AS kind, json_keys(profile, '/attributes') AS keys, "
        f"json_extract_string(profile, [{fields}]) AS fields, "
        "json_extract(profile, '/attributes/properties') AS properties, "
        "json_keys(profile, '/attributes/properties') AS own FROM (SELECT unnest(from_json("
        "json_extract(c0, '/data/attributes/profiles/data'), '[\"JSON\"]')) AS profile FROM cells)"
    )
    return Cells(lines.con, _FIELDS, lines.number("SELECT count(*) FROM profiles"), view="profiles")


def _sql(text: str) -> str:
    return text.replace("'", "''")


_FILES: dict[str, Form | Bodies] = {".csv": LIST, ".jsonl": Bodies()}
FORMS: dict[str, dict[str, Form | Bodies]] = {
    "audience": _FILES,
    "check_in": _FILES,
    "remove": {".csv": LIST},
    "optout": {".csv": LIST},
    "clear": {".csv": LIST, ".jsonl": Bodies(nulls_matter=True)},
}
