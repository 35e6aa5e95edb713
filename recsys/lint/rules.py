"""Every rule by its name: what breaking it leads to in the tool, and what to do."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """What a finding means, and what to do about it; each a sentence."""

    means: str
    do: str


RULES: dict[str, Rule] = {
    "unreadable": Rule("It cannot be read as the format that its name says.", "Write it again, whole."),
    "encoding": Rule(
        "Letters would arrive broken, or the first header would not be recognised.",
        "Save as UTF-8 without byte order mark.",
    ),
    "line_ends": Rule(
        "Mixed or missing line ends can merge rows; Braze may take the first row into the header.",
        "End every line, the last one too, with a single \\n.",
    ),
    "quoting": Rule(
        "Cells would run into each other.", 'Quote cells by RFC 4180: "..." around, every quote inside doubled.'
    ),
    "blank_row": Rule("A row without anything in it is an error or a lost person.", "Leave it out."),
    "cell_count": Rule("Cells would land under other headers, or the row is dropped.", "Give every row all cells."),
    "header_missing": Rule("The tool cannot tell whom the rows are about, or what they hold.", "Add the header."),
    "header_case": Rule("The tool would make a new field of it.", "Spell the header exactly as the tool does."),
    "header_unknown": Rule("The tool refuses or ignores the column.", "Leave it out."),
    "header_repeated": Rule("One of the columns would be lost.", "Give each column a name of its own."),
    "file_name": Rule(
        "The tool takes no file of this form.",
        "Save it in a form that the tool takes, under a name with that ending.",
    ),
    "identifier_missing": Rule("The tool cannot tell whom the row is about.", "Fill an identifier in every row."),
    "identifier_repeated": Rule("Tools drop one of the rows, and not always the same.", "One row per person."),
    "identifier_shape": Rule("It matches nobody.", "Write the identifier as the tool defines it."),
    "mixed_identifiers": Rule(
        "Rows would be looked up by different identifiers.", "One kind of identifier per file: split the file."
    ),
    "email_shape": Rule("The row is refused or the message bounces.", "One plain address, without spaces."),
    "phone_shape": Rule("The row is refused or cannot be called.", "International form, as in +491701234567."),
    "type_date": Rule("The date would be read as text, or as another day.", "ISO 8601, as in 2026-08-31."),
    "type_number": Rule("The number would be read as text, or as another one.", "Digits and . alone, as in 1234.50."),
    "type_boolean": Rule("It would be read as text.", "true or false."),
    "country_shape": Rule("The country is not recognised.", "Two letters of ISO 3166-1; the United Kingdom is GB."),
    "language_shape": Rule(
        "The language is not recognised.", "As the tool has it: de, or de-AT where it knows regions."
    ),
    "timezone_shape": Rule("The time zone is not recognised.", "A name of the IANA list, as in Europe/Berlin."),
    "currency_shape": Rule("The currency is not recognised.", "Three capital letters of ISO 4217."),
    "id_shape": Rule("The catalogue refuses the item.", "Letters, digits, - and _ alone."),
    "hash_shape": Rule("It matches nobody.", "SHA-256 in 64 hexadecimal digits."),
    "hash_upper_case": Rule("It matches nobody where hashes are compared as text.", "Hexadecimal in small letters."),
    "hash_plain": Rule(
        "A person's address would leave as it is: Google would take it, but this product lets none out unhashed.",
        "Normalise it, hash it, and keep this file at home.",
    ),
    "hash_of_nothing": Rule("Everybody without an address would be the same person.", "Leave the cell empty."),
    "hash_of_hash": Rule("It matches nobody.", "Hash the address once, from its normal form."),
    "hash_unwanted": Rule("It matches nobody: the tool wants this one as it is.", "Do not hash this column."),
    "address_incomplete": Rule("An address with a part missing matches nobody.", "All four parts, or none."),
    "limit_bytes": Rule("The tool refuses a file or request of this size.", "Split it."),
    "limit_rows": Rule("The tool refuses so many rows at once.", "Split it."),
    "limit_columns": Rule(
        "The tool refuses so many columns.", "Leave some out: fewer slots, or details as a catalogue."
    ),
    "limit_header": Rule("The tool has no names of this length.", "Shorten the header."),
    "limit_cell_bytes": Rule("The tool cuts the text off without a word.", "Shorten the text."),
    "limit_cell_characters": Rule("The tool refuses a value of this length.", "Shorten it."),
    "limit_profile_bytes": Rule("The tool refuses the profile.", "Send fewer fields."),
    "subscription_field": Rule(
        "It would subscribe people, those who opted out among them.",
        "Leave the field out: who is in the file has consented elsewhere.",
    ),
    "dangerous_cell": Rule(
        "A spreadsheet would run the cell as a formula.",
        "Put an apostrophe before the text, or leave the sign out; plain numbers may have one.",
    ),
    "array_in_cell": Rule("Lists are cut apart or read as text.", "One value per cell: rec_1_id, rec_2_id, ..."),
    "null_word": Rule("The word would stand in the message.", "Leave the cell empty."),
    "json_line": Rule("Braze skips the whole file; others stop here.", "One whole JSON object on every line."),
    "json_shape": Rule("The API refuses the request.", "data.type profile-bulk-import-job, and its list of profiles."),
    "payload_string": Rule("The row is not read.", "PAYLOAD is text: the JSON object, written as a string."),
    "payload_shape": Rule(
        "The row is not read, or changes another user.", "A JSON object with the user's fields alone."
    ),
    "clear_holds_values": Rule("It would leave recommendations with people who left.", "Empty recommendation cells."),
    "clear_without_effect": Rule(
        "The tool keeps what it has: it does not take empty cells, or nulls, for a change.",
        "Write a value that your messages take for nothing, or clear by another way of the tool.",
    ),
    "audience_name": Rule("Meta blocks audiences that tell of health or money.", "Name it by what you offer."),
}
