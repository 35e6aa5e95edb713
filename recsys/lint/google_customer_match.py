"""Google Customer Match: hashed CSV.

From Google Ads' help: English headers exactly so, Email, Phone and Zip more than once; an address needs all of
First Name, Last Name, Country and Zip; Country and Zip stay as they are. Google takes plain files too; we send none.
"""

from collections.abc import Iterator

from recsys.lint.cells import Check, text
from recsys.lint.form import Form, Table
from recsys.lint.hashes import hashed_cells, people_once, plain_cells
from recsys.lint.report import Finding
from recsys.lint.shapes import bad_country_of_ads, dangerous

_ADDRESS = ("First Name", "Last Name", "Country", "Zip")


def whole_addresses(table: Table) -> Iterator[Finding]:
    """An address with a part missing matches nobody."""
    missing = [name for name in _ADDRESS if not table.columns(name)]
    if missing and len(missing) < len(_ADDRESS):
        yield Finding("address_incomplete", f"no {', '.join(missing)}")
    elif not missing:
        parts = ["(" + " OR ".join(f"{text(i)} <> ''" for i in table.columns(name)) + ")" for name in _ADDRESS]
        partly = f"({' OR '.join(parts)}) AND NOT ({' AND '.join(parts)})"
        yield from table.cells.findings([Check("address_incomplete", partly)])


def hashed(table: Table) -> Iterator[Finding]:
    """Addresses and names hashed, countries and postcodes not, nobody twice."""
    yield from hashed_cells(table, ("Email", "Phone", "First Name", "Last Name"))
    yield from plain_cells(table, ("Country", "Zip"))
    yield from table.cells.findings([Check("dangerous_cell", dangerous(text(i)), "Zip") for i in table.columns("Zip")])
    yield from people_once(table, "Email", "Phone")


CUSTOMERS = Form(
    identifiers=(("Email",), ("Phone",), _ADDRESS),
    names=_ADDRESS,
    others=None,
    repeatable={"Email": 20, "Phone": 20, "Zip": 20},
    shapes={"email": None, "phone": None, "country": ("country_shape", bad_country_of_ads)},
    texts_are_safe=True,
    unique=False,
    extras=(whole_addresses, hashed),
)
FORMS: dict[str, dict[str, Form]] = {what: {".csv": CUSTOMERS} for what in ("audience", "remove")}
