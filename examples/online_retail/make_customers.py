"""Makes the customer, consent and suppression files that the Online Retail data set does not have.

Every customer number of the daily files becomes a plainly artificial person: customer-<number>@example.com, the country
of the last order, known since the first. What each consents to follows from a hash of the number, so that the same data
always gives the same files. Run it again whenever daily files were added.

    python examples/online_retail/make_customers.py ../shared/data/online_retail/by-day data/online_retail
"""

import sys
from pathlib import Path

from recsys.database import connect, literal
from recsys.files import private_folder

COUNTRIES = {
    "Australia": "AU",
    "Austria": "AT",
    "Bahrain": "BH",
    "Belgium": "BE",
    "Brazil": "BR",
    "Canada": "CA",
    "Channel Islands": "JE",
    "Cyprus": "CY",
    "Czech Republic": "CZ",
    "Denmark": "DK",
    "EIRE": "IE",
    "Finland": "FI",
    "France": "FR",
    "Germany": "DE",
    "Greece": "GR",
    "Hong Kong": "HK",
    "Iceland": "IS",
    "Israel": "IL",
    "Italy": "IT",
    "Japan": "JP",
    "Lebanon": "LB",
    "Lithuania": "LT",
    "Malta": "MT",
    "Netherlands": "NL",
    "Norway": "NO",
    "Poland": "PL",
    "Portugal": "PT",
    "RSA": "ZA",
    "Saudi Arabia": "SA",
    "Singapore": "SG",
    "Spain": "ES",
    "Sweden": "SE",
    "Switzerland": "CH",
    "USA": "US",
    "United Arab Emirates": "AE",
    "United Kingdom": "GB",
}
"""ISO 3166-1 of the names in the data; the two that are no country (European Community, Unspecified) stay empty."""

LANGUAGES = {"AT": "de", "BR": "pt", "CH": "de", "DE": "de", "ES": "es", "FR": "fr", "IT": "it", "PT": "pt"}

PEOPLE = """
    CREATE TABLE people AS
    SELECT
        regexp_replace(CustomerID, '\\.0$', '') AS customer_id,
        max_by(Country, (InvoiceDate, InvoiceNo, Country)) AS country_name,
        min(InvoiceDate) AS created_at,
        hash(regexp_replace(CustomerID, '\\.0$', '')) % 100 AS dice
    FROM read_csv($files, header = true, all_varchar = true, delim = ',', quote = '"')
    WHERE CustomerID IS NOT NULL
    GROUP BY 1
"""

# 0-79 allow personalisation, 80-84 deny it
# 0-74 consent to e-mail and post, 75-84 to e-mail only, 85-89 withdrew after a month, 90-99 never said anything;
# 3, 13 and 23 bounced
CUSTOMERS = """
    SELECT customer_id, 'customer-' || customer_id || '@example.com' AS email, coalesce(iso, '') AS country,
        coalesce(language, 'en') AS language, created_at
    FROM people LEFT JOIN countries USING (country_name)
    ORDER BY customer_id
"""
CONSENTS = """
    SELECT customer_id, channel, 'marketing' AS purpose, 'granted' AS status, created_at AS occurred_at,
        'made' AS source
    FROM people, (VALUES ('email'), ('post')) AS channels (channel)
    WHERE dice < CASE channel WHEN 'email' THEN 90 ELSE 75 END
    UNION ALL
    SELECT customer_id, 'email', 'marketing', 'withdrawn', strftime(created_at::TIMESTAMP + INTERVAL 30 DAY,
        '%Y-%m-%d %H:%M:%S'), 'made'
    FROM people WHERE dice BETWEEN 85 AND 89
    UNION ALL
    SELECT customer_id, 'email', 'personalisation', CASE WHEN dice < 80 THEN 'granted' ELSE 'denied' END, created_at,
        'made'
    FROM people WHERE dice < 85
    ORDER BY ALL
"""
SUPPRESSIONS = """
    SELECT 'customer-' || customer_id || '@example.com' AS email, 'email' AS channel, 'hard_bounce' AS reason,
        created_at AS occurred_at
    FROM people WHERE dice IN (3, 13, 23) ORDER BY ALL
"""


def main(by_day: Path, target: Path) -> None:
    """Write customers.csv, consents.csv and suppressions.csv into `target`."""
    files = sorted(path.resolve() for path in by_day.glob("*.csv"))
    if not files:
        sys.exit(f"{by_day}: no daily files here")
    private_folder(target)
    with connect(folders=[files[0].parent, target]) as con:
        con.execute(PEOPLE, {"files": [str(path) for path in files]})
        con.execute("CREATE TABLE countries (country_name VARCHAR, iso VARCHAR, language VARCHAR)")
        con.executemany(
            "INSERT INTO countries VALUES (?, ?, ?)",
            [[name, iso, LANGUAGES.get(iso)] for name, iso in COUNTRIES.items()],
        )
        for name, query in (("customers", CUSTOMERS), ("consents", CONSENTS), ("suppressions", SUPPRESSIONS)):
            path = target / f"{name}.csv"
            con.execute(f"COPY ({query}) TO {literal(str(path))} (HEADER, DELIMITER ',')")
            print(f"{path}: {con.execute(f'SELECT count(*) FROM ({query})').fetchall()[0][0]} rows")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
