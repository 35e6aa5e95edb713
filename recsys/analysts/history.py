"""The history tables of the analysts' database: what each of them holds, declared once.

Every row belongs to one run_date. Publishing a night again replaces the rows of its run_date and no others.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """One column: its DuckDB type, and the sentence an analyst reads about it."""

    name: str
    type: str
    comment: str
    may_be_missing: bool = False
    """Databases of earlier versions do not have it yet; such columns are the last ones of their table."""


@dataclass(frozen=True)
class HistoryTable:
    """One table that keeps every night; `order` is a total order, in which rows are stored."""

    name: str
    comment: str
    order: tuple[str, ...]
    columns: tuple[Column, ...]
    may_be_missing: bool = False
    """Databases of earlier versions do not have it yet."""


RUN_DATE = Column("run_date", "DATE", "The night: its logical date; everything strictly before its end counts")
_CUSTOMER = Column("customer_id", "VARCHAR", "The company's own id of a customer")
_CHANNEL = Column("channel", "VARCHAR", "The audience, as the shop file names it")
_STATUS = Column(
    "status",
    "VARCHAR",
    "exported, or the first reason to hold the customer back: erased, suppressed, no_consent, consent_expired, paused, "
    "minor, invalid_address, duplicate_address, no_send_window, control, capped, too_few_items, nothing_new",
)
_ITEMS = Column("items", "BIGINT", "Recommended products that fit the channel's places; they leave only when exported")
_STATE = Column(
    "state",
    "VARCHAR",
    "How far it has come: published (people import the file), or pending, reserved (in doubt if it was being sent), "
    "exported, acknowledged, failed (also where the tool refused just this record); null in nights of earlier versions",
    may_be_missing=True,
)
_SHA256 = Column("sha256", "VARCHAR", "Hex SHA-256 of the file's bytes")

HISTORY: tuple[HistoryTable, ...] = (
    HistoryTable(
        "nights",
        "One row per published night. The marts beside it are those of the latest run_date in this table.",
        ("run_date",),
        (
            RUN_DATE,
            Column("shop", "VARCHAR", "The shop file's name for the shop"),
            Column("currency", "VARCHAR", "Currency of the shop's money, ISO 4217"),
            Column("model_version", "VARCHAR", "The model that made the recommendations; null when there were none"),
            Column("customers", "BIGINT", "Known customers"),
            Column("customers_with_list", "BIGINT", "Customers with at least one recommendation"),
            Column("recommendations", "BIGINT", "Rows of recommendations"),
            Column("decisions", "BIGINT", "Rows of decisions: known customers times channels"),
            Column("exported", "BIGINT", "Decisions with status exported, over all channels"),
            Column("held_back", "BIGINT", "Decisions with any other status, over all channels"),
            Column("checks", "BIGINT", "Checks of the gate"),
            Column("warnings", "BIGINT", "Checks that failed without stopping the night"),
            Column("absent_tables", "VARCHAR[]", "Optional input tables that the shop did not deliver"),
        ),
    ),
    HistoryTable(
        "recommendations",
        "One row per night, customer and rank: what was recommended, from which source and why.",
        ("run_date", "customer_id", "rank"),
        (
            RUN_DATE,
            _CUSTOMER,
            Column("rank", "INTEGER", "Place in the customer's list, from 1 without gaps"),
            Column("product_id", "VARCHAR", "The recommended product"),
            Column(
                "source",
                "VARCHAR",
                "individual (the model's, new to the customer), buy_again (the model's, bought before), content "
                "(popular, of a topic they said they are interested in) or popular",
            ),
            Column("reason", "VARCHAR", "Why this product, as a sentence"),
            Column("model_version", "VARCHAR", "The model that made the row"),
            Column("score", "DOUBLE", "How strongly; comparable within one customer and source only"),
            Column(
                "because_product_id",
                "VARCHAR",
                "What of the customer's own speaks most for it in the model of tastes, never a sensitive product; null "
                "when nothing that may be named does",
                may_be_missing=True,
            ),
            Column(
                "because_share",
                "DOUBLE",
                "Its part, 0 to 1, of all that speaks for the product in the model of tastes",
                may_be_missing=True,
            ),
        ),
    ),
    HistoryTable(
        "decisions",
        "One row per night, known customer and channel: exported, or the first reason why not.",
        ("run_date", "customer_id", "channel"),
        (
            RUN_DATE,
            _CUSTOMER,
            _CHANNEL,
            Column("contact_channel", "VARCHAR", "How the audience is reached: email, sms, push, post or ads"),
            _STATUS,
            Column("reason", "VARCHAR", "The status as a sentence"),
            _ITEMS,
        ),
    ),
    HistoryTable(
        "contact_history",
        "One row per night, customer and channel for whom a message was planned.",
        ("run_date", "customer_id", "channel"),
        (RUN_DATE, _CUSTOMER, _CHANNEL, _STATUS, _ITEMS, _STATE),
    ),
    HistoryTable(
        "removals",
        "One row per night, audience and person who was in its last file and is not in tonight's, or not under that "
        "address.",
        ("run_date", "customer_id", "channel", "left_since", "reason"),
        (
            RUN_DATE,
            _CUSTOMER,
            _CHANNEL,
            Column("contact_channel", "VARCHAR", "How the audience is reached: email, sms, push, post or ads"),
            Column("left_since", "DATE", "The night whose file named them last"),
            Column("reason", "VARCHAR", "The night's status, unknown_customer or address_changed"),
        ),
        may_be_missing=True,
    ),
    HistoryTable(
        "check_ins",
        "One row per night, customer who is asked and topic; at most one night in check_in.every_days per person.",
        ("run_date", "customer_id", "rank"),
        (
            RUN_DATE,
            _CUSTOMER,
            Column("channel", "VARCHAR", "The audience whose check-in asks, as the shop file names it"),
            Column("contact_channel", "VARCHAR", "How they are reached: email, sms, push, post or ads"),
            Column("rank", "INTEGER", "1 is the most important topic"),
            Column("topic", "VARCHAR", "Category path or tag"),
            Column("why", "VARCHAR", "aged (a stated interest that has faded), finished or narrow"),
            Column("reason", "VARCHAR", "The question, as a sentence"),
        ),
        may_be_missing=True,
    ),
    HistoryTable(
        "evaluations",
        "One row per night, task, recommender, part of the customers and metric, measured on the last closed window: "
        "lists as they would have been made before it, against what was bought in it.",
        ("run_date", "task", "recommender", "split", "part", "metric"),
        (
            RUN_DATE,
            Column("window_begin", "DATE", "The window's first day"),
            Column("window_days", "BIGINT", "Its length"),
            Column("task", "VARCHAR", "next (what was bought next) or new (the same, of products new to the customer)"),
            Column("recommender", "VARCHAR", "shipped (as the night makes its lists) or a simple rival"),
            Column(
                "split",
                "VARCHAR",
                "everybody, history (by products bought before), segment, known (by how well the customer was known) "
                "or repeat (by what was to be found: bought before, or new to them); the last two of shipped, popular "
                "and own_history only",
            ),
            Column("part", "VARCHAR", "Which part of the split; empty for everybody"),
            Column(
                "metric",
                "VARCHAR",
                "hit_rate, recall, average_precision, ndcg, novelty, diversity, coverage, gini, "
                "taste_swap_gain or lift_over_segment; at recommend.k",
            ),
            Column("customers", "BIGINT", "Customers it is measured over"),
            Column("mean", "DOUBLE", "Mean over customers, or the value for all lists together"),
            Column("low", "DOUBLE", "Lower end of the 95 % interval (bootstrap over customers); null without one"),
            Column("high", "DOUBLE", "Its upper end"),
        ),
        may_be_missing=True,
    ),
    HistoryTable(
        "deliveries",
        "One row per night, channel, file under a final name, and part that it was delivered in: itself, or a batch.",
        ("run_date", "channel", "file", "part"),
        (
            RUN_DATE,
            Column("channel", "VARCHAR", "The audience, or catalogue"),
            Column("file", "VARCHAR", "Name of the file"),
            Column("rows", "BIGINT", "Rows without the header, of the part where there is one"),
            Column("bytes", "BIGINT", "Size in bytes, likewise"),
            Column("sha256", "VARCHAR", "Hex SHA-256 of these bytes"),
            Column("manifest_sha256", "VARCHAR", "Hex SHA-256 of the manifest that lies beside the file"),
            Column("part", "VARCHAR", "What left as a whole; null when nothing of it did", may_be_missing=True),
            _STATE,
            Column("target", "VARCHAR", "Where it was delivered to", may_be_missing=True),
            Column("receipt", "VARCHAR", "What the target confirmed", may_be_missing=True),
        ),
    ),
    HistoryTable(
        "delivery_errors",
        "One row per night, channel, record that a tool's API refused, part it was in, and code: it was not delivered.",
        ("run_date", "channel", "part", "customer_id", "code", "detail"),
        (
            RUN_DATE,
            _CHANNEL,
            Column("customer_id", "VARCHAR", "Whose record; null where the tool did not say"),
            Column("part", "VARCHAR", "The part of the delivery, as in the table deliveries"),
            Column("code", "VARCHAR", "What is wrong: the tool's word, or ours for a record that was not even sent"),
            Column("detail", "VARCHAR", "The field, or the tool's sentence without values of customers"),
        ),
        may_be_missing=True,
    ),
    HistoryTable(
        "gate_checks",
        "One row per night and check of the gate.",
        ("run_date", "suite", "check_name", "severity", "detail"),
        (
            RUN_DATE,
            Column("suite", "VARCHAR", "What was checked"),
            Column("check_name", "VARCHAR", "What had to hold"),
            Column("severity", "VARCHAR", "critical stops the night; warning is recorded"),
            Column("passed", "BOOLEAN", "Whether it held"),
            Column("detail", "VARCHAR", "Counts and limits; never values of customers"),
        ),
    ),
    HistoryTable(
        "source_files",
        "One row per night, input table and source file or query that the night was made from.",
        ("run_date", "table_name", "file", "sha256"),
        (
            RUN_DATE,
            Column("table_name", "VARCHAR", "The input table"),
            Column("file", "VARCHAR", "The source file, or the query's name"),
            Column("file_date", "DATE", "The date in the file's path, when the shop file says where"),
            _SHA256,
            Column("rows", "BIGINT", "Good rows in it"),
            Column("bad_rows", "BIGINT", "Rows that went to quarantine"),
            Column("skipped_rows", "BIGINT", "Rows left out on purpose, by a condition of the shop file"),
            Column("skipped_by", "MAP(VARCHAR, BIGINT)", "The same per condition"),
            Column("is_new", "BOOLEAN", "Read for the first time this night"),
        ),
    ),
    HistoryTable(
        "quarantine",
        "One row per night, bad row and reason; no values of the row.",
        ("run_date", "table_name", "file", "line", "column_name", "reason", "row_hash", "source_sha256"),
        (
            RUN_DATE,
            Column("table_name", "VARCHAR", "The input table"),
            Column("file", "VARCHAR", "The source file"),
            Column("line", "BIGINT", "Where in the file"),
            Column("column_name", "VARCHAR", "The column that broke its contract"),
            Column("reason", "VARCHAR", "How"),
            Column("row_hash", "VARCHAR", "Hash of the row, to recognise it when it comes again"),
            Column("source_sha256", "VARCHAR", "Hex SHA-256 of the source file's bytes"),
        ),
    ),
)
