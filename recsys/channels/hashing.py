"""The form in which each advertising platform hashes what it knows people by: every platform by its own rules.

A hash matches nobody when one character before it is other than the platform's own, and the two below want different
ones: Google takes dots and tags out of a Gmail address, Meta keeps them; Google keeps the + of a phone number, Meta
does not. So nothing is shared between them but SHA-256, in lower-case hex. What is no address gives null, never the
hash of something empty; a value that is a hash already is no address either: nobody knows by whose rules it was made.

Sources: Google, "Format user data" of the Data Manager API and "Formatting guidelines for uploading hashed data" of
Google Ads; Meta, "Hashing and Normalizing Data" of the Marketing API, and for names without accents what its own SDK
does (facebook_business, customaudiencemixin.py).
"""

import duckdb

MACROS = {
    "google_compact": r"lower(regexp_replace(nfc_normalize(text), '[\p{Z}\p{C}]+', '', 'g'))",
    "google_email": r"""
        CASE WHEN regexp_full_match(google_compact(text), '[.]*[^@.+][^@]*@(gmail|googlemail)[.]com')
            THEN concat(regexp_replace(split_part(google_compact(text), '@', 1), '[+].*|[.]', '', 'g'),
                '@', split_part(google_compact(text), '@', 2))
            WHEN regexp_full_match(google_compact(text), '[^@]+@(gmail|googlemail)[.]com') THEN NULL
            WHEN regexp_full_match(google_compact(text), '[^@]+@[^@]+') THEN google_compact(text) END""",
    "google_dialled": r"""
        regexp_replace(regexp_replace(regexp_replace(regexp_replace(text, '[\p{Z}\p{C}./-]+', '', 'g'),
            '^([()]*(?:[+]|00)[()]*[1-9][0-9]{0,2}[()]*)[(]0[)]', '\1'), '[()]+', '', 'g'), '^00', '+')""",
    "google_phone": r"""
        CASE WHEN regexp_full_match(google_dialled(text), '[+][1-9][0-9]{6,14}') THEN google_dialled(text) END""",
    "meta_trimmed": r"lower(regexp_replace(nfc_normalize(text), '^[\p{Z}\p{C}]+|[\p{Z}\p{C}]+$', '', 'g'))",
    "meta_email": r"CASE WHEN regexp_full_match(meta_trimmed(text), '[^@]+@[^@]+') THEN meta_trimmed(text) END",
    "meta_digits": r"""
        regexp_replace(regexp_replace(regexp_replace(text, '[\p{Z}\p{C}./-]+', '', 'g'),
            '^([()]*(?:[+]|00)?[()]*[1-9][0-9]{0,2}[()]*)[(]0[)]', '\1'), '[^0-9]+', '', 'g')""",
    "meta_phone": r"""
        CASE WHEN regexp_full_match(meta_trimmed(text), '[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}') THEN NULL
            WHEN regexp_matches(text, '^[^0-9+]*0') AND NOT regexp_matches(text, '^[^0-9+]*00') THEN NULL
            WHEN regexp_full_match(ltrim(meta_digits(text), '0'), '[0-9]{7,15}')
                THEN ltrim(meta_digits(text), '0') END""",
    "meta_name": r"""
        CASE WHEN NOT regexp_full_match(meta_trimmed(text), '[0-9a-f]{64}')
            THEN nullif(trim(regexp_replace(
                regexp_replace(meta_trimmed(text), '[\p{P}\p{S}]+', '', 'g'), '[\p{Z}\p{C}]+', ' ', 'g')), '') END""",
    "meta_plain_name": r"nullif(regexp_replace(meta_name(text), '[^a-z]+', '', 'g'), '')",
    "meta_country": r"CASE WHEN regexp_full_match(meta_trimmed(text), '[a-z]{2}') THEN meta_trimmed(text) END",
}
"""SQL of each form, of a `text`; null where there is nothing to hash.

`google_email`: white space out everywhere, lower case, and at gmail.com and googlemail.com no dots before the @ and
nothing from a + on. `google_phone`: E.164 with its +, of a number with + or 00; a (0) after the country code is not
dialled from abroad. `meta_email`: white space off both ends, lower case. `meta_phone`: digits alone, country code
first, no leading zeros; a number that starts with one 0 lacks the country code, and without the 0 it would be another
country's. `meta_name`: lower case, no punctuation, accents kept; `meta_plain_name`: a to z alone. `meta_country`: two
letters.
"""


def define_hash_forms(con: duckdb.DuckDBPyConnection) -> None:
    """Make the forms of `MACROS` known to a connection; `sha256` of one is what the platform wants."""
    for name, form in MACROS.items():
        con.execute(f"CREATE OR REPLACE TEMP MACRO {name}(text) AS {form}")
