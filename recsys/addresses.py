"""The form in which two addresses are compared, for what Python asks DuckDB."""

import duckdb

NORMAL_FORMS = {
    "normalised_email": r"nullif(lower(regexp_replace(text, '^[\p{Z}\p{C}]+|[\p{Z}\p{C}]+$', '', 'g')), '')",
    "mailbox": (
        r"case when regexp_full_match( regexp_replace(text, '[\p{Z}\p{C}]+', '', 'g'), "
        r"'[.]*[^@.+][^@]*@(gmail|googlemail)[.]com' ) then concat( regexp_replace( split_part("
        r"regexp_replace(text, '[\p{Z}\p{C}]+', '', 'g'), '@', 1), '[+].*|[.]', '', 'g' ), '@gmail.com' ) "
        r"else regexp_replace(text, '[\p{Z}\p{C}]+', '', 'g') end"
    ),
    "normalised_phone": (
        r"nullif(regexp_replace(regexp_replace(regexp_replace(regexp_replace(text, '[\p{Z}\p{C}./-]+', '', 'g'), "
        r"'^([()]*(?:[+]|00)[()]*[1-9][0-9]{0,2}[()]*)[(]0[)]', '\1'), '[()]+', '', 'g'), '^00', '+'), '')"
    ),
}
"""How addresses are compared: as by the macros of these names in the dbt project."""


def define_normal_forms(con: duckdb.DuckDBPyConnection) -> None:
    """Make `normalised_email(text)` and `normalised_phone(text)` known to a connection; null when nothing is left.

    And `mailbox(text)`, of a normalised address: the same for every spelling of one mailbox.
    """
    for name, normal_form in NORMAL_FORMS.items():
        con.execute(f"CREATE OR REPLACE TEMP MACRO {name}(text) AS {normal_form}")
