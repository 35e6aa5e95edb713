"""Reasons in files: every language and kind, what is chosen for whom, and what a shop file may say."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from recsys.channels.wording import Wording
from recsys.list_settings import PLACEHOLDERS, TEMPLATES, Reasons
from recsys.vocabulary import Reason

ITALIAN = {
    kind.value: f"{kind.value}: {PLACEHOLDERS[kind]}" if kind in PLACEHOLDERS else kind.value for kind in Reason
} | {"bought": "Perché hai acquistato {product}"}


def said(language: str | None, kind: str, about: str | None, wording: Wording | None = None) -> str | None:
    items = pl.DataFrame(
        {"customer_id": ["ann"], "reason_kind": [kind], "reason_about": [about]},
        schema=dict.fromkeys(("customer_id", "reason_kind", "reason_about"), pl.String),
    )
    recipients = pl.DataFrame(
        {"customer_id": ["ann"], "language": [language]}, schema={"customer_id": pl.String, "language": pl.String}
    )
    found = (wording or Wording()).said(items, recipients)
    assert found.columns == ["customer_id", "reason_kind", "reason_about", "reason"]
    return found["reason"].item()


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("en", "Because you bought Green tea"),
        ("de", "Weil Sie Green tea gekauft haben"),
        ("fr", "Parce que vous avez acheté Green tea"),
        ("es", "Porque compró Green tea"),
        ("de-AT", "Weil Sie Green tea gekauft haben"),
        ("DE_ch", "Weil Sie Green tea gekauft haben"),
        ("es-419", "Porque compró Green tea"),
        ("nl", "Because you bought Green tea"),
        ("den", "Because you bought Green tea"),
        ("", "Because you bought Green tea"),
        (None, "Because you bought Green tea"),
    ],
)
def test_a_purchase_is_said_in_the_customers_language_or_the_shops(language, sentence):
    assert said(language, "bought", "Green tea") == sentence


@pytest.mark.parametrize("language", sorted(TEMPLATES))
def test_every_language_that_comes_along_has_a_sentence_for_every_kind(language):
    assert set(TEMPLATES[language]) == set(Reason)
    for kind in Reason:
        about = "28" if kind in PLACEHOLDERS else None
        sentence = said(language, kind.value, about)
        assert sentence
        assert "{" not in sentence
        assert ("28" in sentence) == (kind in PLACEHOLDERS)


def test_a_shop_adds_a_language_and_changes_single_sentences():
    wording = Wording(
        Reasons(language="it", templates={"it": ITALIAN, "de": {"bought": "Passt zu {product}"}, "pt-br": ITALIAN})
    )
    assert said("it-CH", "bought", "Tè", wording) == "Perché hai acquistato Tè"
    assert said("nl", "bought", "Tè", wording) == "Perché hai acquistato Tè"
    assert said("de", "bought", "Tee", wording) == "Passt zu Tee"
    assert said("de", "due", None, wording) == "Das kaufen Sie meist um diese Zeit wieder"
    assert said("pt-BR", "range", None, wording) == "range"
    assert said("pt", "range", None, wording) == "range"  # Italian, the shop's own


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"templates": {"it": {"bought": "Perché {product}"}}}, "it: missing: interested, due"),
        ({"templates": {"de": {"bought": "Gekauft"}}}, "needs {product} exactly once"),
        ({"templates": {"de": {"bought": "{product} {product}"}}}, "needs {product} exactly once"),
        ({"templates": {"de": {"bought": "{product} {name}"}}}, "needs {product} exactly once"),
        ({"templates": {"de": {"due": "Bald {product}"}}}, "needs no brace"),
        ({"templates": {"de": {"due": "Bald {"}}}, "needs no brace"),
        ({"templates": {"de": {"sold": "Verkauft"}}}, "Input should be 'interested'"),
        ({"templates": {"Deutsch!": ITALIAN}}, "String should match pattern"),
        ({"language": "it"}, "allowed: one with sentences (de, en, es, fr)"),
        ({"min_share": 1.5}, "less than or equal to 1"),
    ],
)
def test_faults_in_the_shop_file_are_named(settings, message):
    with pytest.raises(ValidationError) as caught:
        Reasons(**settings)
    assert message in str(caught.value)


@given(about=st.text(st.characters(exclude_categories=["Cs"]), max_size=20), kind=st.sampled_from(list(PLACEHOLDERS)))
def test_whatever_it_is_about_stands_in_the_sentence_as_it_is(about, kind):
    before, after = TEMPLATES["de"][kind].split(PLACEHOLDERS[kind])
    assert said("de", kind.value, about) == before + about + after


def test_unknown_kinds_and_missing_names_have_no_sentence():
    assert said("en", "bought", None) is None
    assert said("en", "astrology", "Leo") is None
