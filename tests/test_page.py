"""The audience page: right numbers in plain words, whatever state the night is in, and nothing that must not be."""

import json
import re
from datetime import date
from html.parser import HTMLParser

import duckdb
import polars as pl
import pytest
import report_night
from hypothesis import given
from hypothesis import strategies as st

from recsys.night import Night
from recsys.report import page
from recsys.report.examples import choose_examples
from recsys.report.facts import read_facts
from recsys.report.page import said, share, width
from recsys.tables import write_parquet

VOID = {"meta", "br", "link", "img", "input", "hr"}


class Reader(HTMLParser):
    """Collects what a person reads, section by section, and whether every tag that opens closes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.text: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag in {"td", "th", "li", "p"}:
            self.text.append(" ")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "title"} & set(self.open):
            self.text.append(data)


def read(night: Night) -> str:
    """Make the page; its text as a person reads it, spaces collapsed."""
    page.run(night)
    return " ".join("".join(Reader(night.page.read_text(encoding="utf-8")).text).split())


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    return report_night.build(report_night.night_of(tmp_path_factory.mktemp("night")))


@pytest.fixture
def green(template, tmp_path):
    return report_night.copied(template, tmp_path / "shop")


def test_a_green_night_says_so_and_its_sums_add_up(green):
    text = read(green)
    assert "Night of Tuesday, 31 March 2026" in text
    assert "Green: everything was checked, and the files have left. 2 customers of 6 can be reached tonight." in text
    assert text.count("Adds up: 6 known = 2 exported + 4 held back; 2 rows in the file.") == 2
    for words in ("Opted out or undeliverable", "No consent", "Consent has ended", "No usable address"):
        assert words in text
    assert "Same address as somebody else" not in text
    assert page.run(green) == {"light": "green", "page": "nights/2026-03-31/page/index.html", "problems": 0}


def test_the_page_says_how_many_get_the_broad_variant(green):
    assert "; 1 of them did not allow personalisation and gets the broad variant, the popular list" in read(green)
    with duckdb.connect(str(green.warehouse)) as con:
        con.execute("UPDATE core.dim_customers SET may_personalise = false")
    assert "; 6 of them did not allow personalisation and get the broad variant" in read(green)


def test_sums_that_do_not_add_up_are_shown(green):
    decided = pl.read_parquet(green.decisions / "fct_decisions.parquet")
    write_parquet(decided.filter(pl.col("customer_id") != "eve"), green.decisions / "fct_decisions.parquet")
    assert "Does not add up: 6 known = 2 exported + 3 held back" in read(green)


def test_sources_and_top_products_are_counted(green):
    text = read(green)
    assert "15 recommendations for 6 customers" in text
    assert re.search(r"Individual ?New .{0,80} 11 73\.3 %", text)
    assert re.search(r"Popular ?Bought .{0,120} 4 26\.7 %", text)
    # two places in the files: ann gets mint and green, ben black and green
    assert re.search(r"Green ?in the lists of 3 customers, held back or not 2 100 %", text)
    assert re.search(r"Mint ?in the lists of 3 customers, held back or not 1 50\.0 %", text)
    assert re.search(r"Hammer ?in the lists of 1 customer, held back or not 0 0 %", text)


def test_what_was_bought_before_is_counted_and_marked_as_such(green):
    report_night.decide(green, report_night.LISTS | {"ann": [("green", "buy_again"), ("mint", "individual")]})
    text = read(green)
    assert re.search(r"Buy again ?Bought by this customer before.{0,80} 1 7\.7 %", text)
    assert "Green buy again" in text


def test_what_lists_were_worth_is_split_by_how_well_customers_were_known(green):
    assert "By how well customers were known" not in read(green)
    rows = [
        (recommender, split, part, metric, customers, hits, 0.1, 0.9)
        for metric in ("hit_rate", "ndcg")
        for recommender, hits in (("shipped", 0.5), ("popular", 0.25), ("own_history", 0.125))
        for split, part, customers in (
            ("everybody", "", 40),
            ("known", "looked only", 12),
            ("known", "nothing", 28),
            ("repeat", "bought before", 7),
        )
    ]
    labels = {"run_date": green.run_date, "window_begin": date(2026, 3, 4), "window_days": 28, "task": "next"}
    columns = ["recommender", "split", "part", "metric", "customers", "mean", "low", "high"]
    scores = pl.DataFrame(rows, schema=columns, orient="row").with_columns(**{n: pl.lit(v) for n, v in labels.items()})
    write_parquet(scores, green.evaluation / "scores.parquet")
    card = {"window_begin": "2026-03-04", "window_days": 28, "customers": 40, "sentence": "Individual pays offline."}
    (green.evaluation / "card.json").write_text(json.dumps(card))
    champion = {
        "champion": {"kind": "als", "settings": {"half_life_days": 100, "window_days": None, "weights": {"view": 0.1}}},
        "run_date": "2026-03-30",
        "window_begin": "2026-03-03",
        "sentence": "The champion stays: two stages are not better beyond noise.",
        "trials": [{}, {}],
        "comparisons": [
            {
                "one": "two_stage",
                "other": "als",
                "task": "next",
                "metric": "ndcg",
                "mean": 0.02,
                "low": 0.01,
                "high": 0.03,
            }
        ],
        "scores": [
            {"task": task, "recommender": name, "metric": "ndcg", "mean": mean, "low": 0.25, "high": 0.75}
            for task, name, mean in (("next", "popular", 0.3), ("next", "champion", 0.5), ("new", "champion", 0.1))
        ],
    }
    (green.raw / "champion").mkdir()
    (green.raw / "champion" / "card.json").write_text(json.dumps(champion))
    text = read(green)
    assert "Individual pays offline." in text
    card = text[text.index("The champion: the model alone") :]
    assert "Chosen on the night of 2026-03-30 among 2 settings of the model" in card
    assert "Other than in the shop file: half_life_days 100, weights.view 0.1, window_days unlimited." in card
    assert "in the window from 2026-03-03 on Lists NDCG The champion until then 50.0 % (25.0 to 75.0)" in card
    assert "Popular lately 30.0 % (25.0 to 75.0)" in card
    assert "Two stages, compared with the model alone, tuned 2.0 % (1.0 to 3.0)" in card
    known = text[text.index("By how well customers were known") : text.index("By whether products were new")]
    assert "Popular lately Own history, then popular nothing 28 50.0 % (10.0 to 90.0) 25.0 % (10.0 to 90.0)" in known
    assert known.index("nothing 28") < known.index("looked only 12"), "from the least known on"
    assert "bought before 7 50.0 % (10.0 to 90.0) 25.0 % (10.0 to 90.0) 12.5 % (10.0 to 90.0)" in text
    assert "new to them 7" not in text


def test_files_are_named_with_rows_and_how_to_import_them(green):
    text = read(green)
    assert "published/audiences/email_file/2026-03-31/email_file_20260331.csv 2 rows · 20 bytes · 1 column" in text
    assert "Match people by email." in text
    assert "the file never re-subscribes anyone" in text
    assert str(green.shop.root) not in green.page.read_text()


def test_absent_tables_bad_rows_and_rows_left_out_are_stated(green):
    text = read(green)
    assert "editorial: no places are reserved for editorial picks." in text
    assert "consents: nobody has agreed" not in text
    assert "left out on purpose: 2 service_code, 1 gift_wrap" in text
    assert "order_lines.quantity: not a whole number (1 row)" in text


def test_history_stands_beside_recommendations(green):
    text = read(green)
    ann = text[text.index("Customer ann") :]
    ann = ann[: ann.index("Customer", 1)]
    assert "Black bought · 2026-03-01" in ann
    assert "Mint Because of your teas. (61 %)" in ann
    assert "(61 %)" not in ann[ann.index("Saw popular") :]
    assert "Saw popular Popular now." in ann
    assert "email_file: Exported · May be mailed." in ann
    eve = text[text.index("Customer eve") :]
    assert "Drill bought and returned · 2026-03-20" in eve
    assert "email_file: Consent has ended · The consent has ended." in eve
    fay = text[text.index("Customer fay") :]
    assert "Nothing is known yet." in fay


def test_a_reason_and_its_share_are_said_on_every_line(green):
    text = read(green)
    ben = text[text.index("Customer ben") :]
    ben = ben[: ben.index("Customer", 1)]
    listed = pl.read_parquet(green.recommendations).filter(customer_id="ben", source="individual")
    assert ben.count("Because of your teas. (61 %)") == listed.height > 1


def test_checks_that_passed_are_folded_away_and_others_are_open(green):
    page.run(green)
    folds = re.findall(r"<details class=\"card\"( open)?>\s*<summary><strong>(\w+)", green.page.read_text())
    assert folds == [(" open", "email_file"), ("", "recommendations")]


def test_nobody_is_on_the_page_but_by_customer_id(green):
    page.run(green)
    html = green.page.read_text()
    people = pl.read_parquet(green.raw / "customers.parquet")
    for column in ("email", "phone", "first_name", "last_name"):
        for value in people[column].drop_nulls():
            assert not re.search(rf"\b{re.escape(value)}\b", html)


def test_the_page_needs_no_network_and_no_script(green):
    page.run(green)
    html = green.page.read_text()
    assert not re.search(r"https?:|//[a-z]|\bsrc=|url\(|@import|<script|<link|\bon[a-z]+=", html)
    assert "Content-Security-Policy" in html
    assert Reader(html).tags.isdisjoint({"script", "link", "img", "iframe", "object"})


def test_names_are_text_and_never_markup(green):
    evil = "<script>alert('1')</script> & <b>tea</b>"
    with duckdb.connect(str(green.warehouse)) as con:
        con.execute("UPDATE core.dim_products SET name = $name WHERE product_id = 'green'", {"name": evil})
    report_night.stage_file(green, "gate", status="failed", error="<img src=x onerror=alert(1)>")
    text = read(green)
    assert "script" not in Reader(green.page.read_text()).tags
    assert "img" not in Reader(green.page.read_text()).tags
    assert evil in text
    assert "<img src=x onerror=alert(1)>" in text


def test_the_same_night_makes_the_same_page_but_for_the_seconds(green):
    page.run(green)
    first = green.page.read_bytes()
    page.run(green)
    assert green.page.read_bytes() == first
    record = json.loads((green.stages / "decide.json").read_text())
    (green.stages / "decide.json").write_text(json.dumps(record | {"seconds": 99.25}))
    page.run(green)
    old, new = first.decode().splitlines(), green.page.read_text().splitlines()
    assert len(old) == len(new)
    steps = new.index(next(line for line in new if 'id="how"' in line))
    assert old[:steps] == new[:steps]
    assert "99.2" in "".join(new[steps:])


def test_a_red_gate_names_the_failed_checks_first(tmp_path):
    night = report_night.build(
        report_night.night_of(tmp_path),
        until="gate",
        failing={"nobody is mailed who said no": "1 of 2 rows"},
        error="GateRed: 1 critical check failed",
    )
    text = read(night)
    assert "Red: nothing has left tonight. Files of earlier nights lie where they were, untouched." in text
    assert "A check failed: permissions: nobody is mailed who said no." in text
    assert "GateRed: 1 critical check failed" in text
    assert "3 checks: 1 passed, 1 failed, 1 warning." in text
    checks = text[text.index("What was checked") :]
    assert checks.index("nobody is mailed") < checks.index("volume is near") < checks.index("ranks have no gaps")
    assert "would be in the file; not exported" in text
    assert text.count("There is no file of this night under its final name.") == 5


def test_a_failed_stage_is_shown_with_its_error_and_what_is_missing(tmp_path):
    night = report_night.build(
        report_night.night_of(tmp_path), until="ingest", error="TooManyBadRows: order_lines: 7 %"
    )
    text = read(night)
    assert "“Take in the delivered data” stopped." in text
    assert "TooManyBadRows: order_lines: 7 %" in text
    assert "Not known: “Decide who gets it” has not run for this night." in text
    assert "Not known: “Take in the delivered data” has left nothing to show for this night." in text
    assert "Not known: “Check everything before it leaves” has not run for this night." in text


@pytest.mark.parametrize("until", [*report_night.STAGES, *report_night.EXPORTS])
def test_a_night_that_ended_anywhere_has_a_page(tmp_path, until):
    night = report_night.build(report_night.night_of(tmp_path), until=until)
    text = read(night)
    assert "Not finished: the night has not been run to its end." in text
    assert "Update the analysts' database" in text
    assert page.run(night)["light"] == "unfinished"


def test_a_night_that_never_began_has_a_page(tmp_path):
    night = report_night.night_of(tmp_path)
    assert "Not done: Take in the delivered data" in read(night)


def test_when_one_channel_left_and_another_did_not_both_are_said(tmp_path):
    night = report_night.build(
        report_night.night_of(tmp_path), until="export.crm_file", error="CannotPublish: disk full"
    )
    text = read(night)
    assert "Red: some files have left, some have not." in text
    assert "“Hand over: crm_file” stopped." in text
    assert "email_file left" in text
    assert "crm_file not exported" in text


def test_numbers_of_an_earlier_run_are_not_passed_off_as_tonights(green):
    assert "earlier run" not in read(green)
    report_night.stage_file(green, "features", status="failed", error="FeaturesFailed: 1 model")
    assert "Some numbers below come from an earlier run of this night" in read(green)


def test_the_page_does_not_hold_its_own_earlier_failure_against_the_night(green):
    report_night.stage_file(green, "report", status="failed", error="disk full")
    assert page.run(green)["light"] == "green"


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("nights/2026-03-31/gate/verdict.json", "The gate's verdict cannot be trusted"),
        ("nights/2026-03-31/decisions/fct_decisions.parquet", "What was decided cannot be read"),
        ("nights/2026-03-31/warehouse.duckdb", "What was decided cannot be read"),
        ("nights/2026-03-31/inputs.json", "inputs.json cannot be read"),
        ("nights/2026-03-31/raw/quarantine.parquet", "The quarantine cannot be read"),
        ("nights/2026-03-31/stages/gate.json", "stages/gate.json cannot be read"),
        ("published/audiences/crm_file/2026-03-31/crm_file_20260331.csv", "crm_file cannot be trusted"),
    ],
)
def test_a_file_that_cannot_be_read_makes_the_night_red_and_is_named(green, broken, said):
    (green.shop.root / broken).write_bytes(b"broken")
    text = read(green)
    assert "Red:" in text
    assert said in text
    assert page.run(green)["light"] == "red"


def test_a_shop_without_customers_has_a_page(green):
    for path in (*green.decisions.glob("*.parquet"), green.raw / "customers.parquet"):
        write_parquet(pl.read_parquet(path).clear(), path)
    with duckdb.connect(str(green.warehouse)) as con:
        con.execute("DELETE FROM core.dim_customers; DELETE FROM core.fct_interactions")
    text = read(green)
    assert "Nobody has a recommendation tonight." in text
    assert "There are no customers to show." in text
    assert text.count("Adds up: 0 known = 0 exported + 0 held back") == 2


def _many(night: Night, individual: int, popular: int, held_back: int) -> Night:
    """Replace the night's decisions by those of as many customers as wanted; every held back one has its own status."""
    people = pl.DataFrame(
        {
            "customer_id": [f"c{number:03d}" for number in range(individual + popular + held_back)],
            "source": ["individual"] * individual + ["popular"] * popular + ["individual"] * held_back,
            "status": ["exported"] * (individual + popular)
            + [("no_consent", "suppressed", "too_few_items")[number % 3] for number in range(held_back)],
        }
    )
    write_parquet(
        people.select(
            pl.lit(night.run_date).alias("run_date"),
            "customer_id",
            pl.lit(1, pl.Int32).alias("rank"),
            pl.lit("green").alias("product_id"),
            "source",
            pl.lit("Because.").alias("reason"),
            pl.lit("individual").alias("reason_kind"),
            pl.lit(None, pl.String).alias("because_product_id"),
            pl.lit(None, pl.Float64).alias("because_share"),
            pl.lit("als-1").alias("model_version"),
            pl.lit(1.0).alias("score"),
        ),
        night.decisions / "fct_recommendations.parquet",
    )
    write_parquet(
        people.select(
            pl.lit(night.run_date).alias("run_date"),
            "customer_id",
            pl.lit("email_file").alias("channel"),
            pl.lit("email").alias("contact_channel"),
            "status",
            pl.lit("A reason.").alias("reason"),
            (pl.col("status") == "exported").cast(pl.Int64).alias("items"),
        ),
        night.decisions / "fct_decisions.parquet",
    )
    return night


@pytest.mark.parametrize(
    ("individual", "popular", "held_back", "shown"),
    [
        (100, 100, 100, {"individual": 6, "popular": 3, "held back": 3}),
        (100, 0, 100, {"individual": 9, "held back": 3}),
        (2, 1, 100, {"individual": 2, "popular": 1, "held back": 9}),
        (3, 2, 1, {"individual": 3, "popular": 2, "held back": 1}),
    ],
)
def test_a_dozen_examples_are_spread_over_the_kinds_of_customers(green, individual, popular, held_back, shown):
    examples = choose_examples(_many(green, individual, popular, held_back))
    parts = [example.part for example in examples]
    assert {part: parts.count(part) for part in dict.fromkeys(parts)} == shown
    assert len({example.customer_id for example in examples}) == sum(shown.values())
    statuses = {status for example in examples for _, status, _, _ in example.decisions if example.part == "held back"}
    assert len(statuses) == min(3, shown.get("held back", 0))
    assert choose_examples(green) == examples


def test_another_night_shows_other_examples(green):
    from datetime import timedelta

    tomorrow = Night(green.shop, green.run_date + timedelta(days=1))
    report_night.build(tomorrow, until="features")
    tonight = choose_examples(_many(green, 100, 100, 100))
    assert {it.customer_id for it in tonight} != {
        it.customer_id for it in choose_examples(_many(tomorrow, 100, 100, 100))
    }


def test_every_absent_optional_table_has_words():
    from recsys.contracts import CONTRACTS
    from recsys.report.words import ABSENT_WORDS

    assert set(ABSENT_WORDS) == {name for name, contract in CONTRACTS.items() if not contract.required}


def test_the_page_says_who_left_and_whom_to_ask(green):
    text = read(green)
    part = text[text.index("Who left, and whom to ask") : text.index("The files, and how to import them")]
    assert "at most once in 90 days over all channels" in part
    assert "No consent 1 Not a customer any more 1" in part
    assert "Does it still interest you?They said so themselves" in part
    assert part.count("People are counted under their most important topic.") == 2


def test_every_status_source_and_kind_of_file_has_words():
    from recsys.channels.base import Kind
    from recsys.channels.kinds import BUILT_IN, kind_of
    from recsys.report.words import (
        CONTACT_WORDS,
        DEPARTURE_WORDS,
        IMPORT_WORDS,
        QUESTION_WORDS,
        SOURCE_WORDS,
        STATUS_WORDS,
    )
    from recsys.vocabulary import ContactChannel, Departure, Question, Source, Status

    assert set(STATUS_WORDS) == set(Status)
    assert set(SOURCE_WORDS) == set(Source)
    assert set(CONTACT_WORDS) == set(ContactChannel)
    assert set(IMPORT_WORDS) == {"email_file", "crm_file", "check_in", "catalogue"}
    assert all(name in IMPORT_WORDS or kind_of(name).steps != Kind.steps for name in BUILT_IN)
    assert set(QUESTION_WORDS) == set(Question)
    assert set(DEPARTURE_WORDS) == set(Departure)


def test_green_needs_every_stage_every_file_and_the_verdict(green):
    assert read_facts(green).light == "green"
    (green.audience("crm_file") / "_SUCCESS").unlink()
    facts = read_facts(green)
    assert (facts.light, facts.not_published) == ("unfinished", ("crm_file",))


@pytest.mark.parametrize(
    ("name", "words"), [("not_a_number", "not a number"), ("decisions/fct_a.parquet", "decisions/fct_a.parquet")]
)
def test_names_are_said_as_words_and_paths_are_left_alone(name, words):
    assert said(name) == words


@given(part=st.integers(0, 10**7), rest=st.integers(0, 10**7))
def test_a_share_is_nothing_or_everything_only_when_it_is(part, rest):
    said = share(part, part + rest)
    assert (said == "0 %") == (part == 0 and rest > 0)
    assert (said in {"100 %", "100.0 %"}) == (rest == 0 and part > 0)
    assert 0 <= float(width(part, part + rest).rstrip("%")) <= 100
