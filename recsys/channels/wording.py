"""How a reason is said in a finished file: a plain sentence in the recipient's language."""

import polars as pl

from recsys.list_settings import Reasons

PLACEHOLDER = r"\{(?:topic|product|days)\}"


class Wording:
    """The sentences of a shop; those that come with the product when its file says nothing.

    With a `language` every sentence is in it, whatever its reader speaks.
    """

    def __init__(self, settings: Reasons | None = None, language: str | None = None) -> None:
        settings = settings or Reasons()
        self.language = language
        self.sentences = settings.sentences
        self.fallback = settings.language
        rows = [
            (language, kind.value, sentence)
            for language, of_kind in self.sentences.items()
            for kind, sentence in of_kind.items()
        ]
        texts = pl.DataFrame(rows, schema=["spoken", "reason_kind", "sentence"], orient="row")
        parts = pl.col("sentence").str.replace(PLACEHOLDER, "\x00").str.splitn("\x00", 2)
        self.texts = texts.with_columns(parts.struct.rename_fields(["before", "after"])).unnest("sentence")

    def spoken(self, languages: pl.Series) -> pl.Series:
        """For each language (BCP 47, in any case; null where unknown) the one that its speaker is written to in.

        That is the language itself, else what it is a variant of (de for de-AT), else the shop's own.
        """
        if self.language is not None:
            return pl.repeat(self._spoken(self.language), len(languages), dtype=pl.String, eager=True).alias("spoken")
        distinct = languages.unique().drop_nulls()
        found = [self._spoken(language) for language in distinct]
        return languages.replace_strict(distinct, found, default=self.fallback, return_dtype=pl.String).alias("spoken")

    def said(self, items: pl.DataFrame, recipients: pl.DataFrame) -> pl.DataFrame:
        """The items (customer_id, reason_kind, reason_about) with `reason` as a sentence for its recipient.

        `recipients` have customer_id and language. A sentence is null for a kind that there is no word for, and for one
        that is about something when nobody says what. Order and number of items stay.
        """
        spoken = recipients.select("customer_id", self.spoken(recipients.get_column("language")))
        about = pl.when(pl.col("after").is_not_null()).then("reason_about").otherwise(pl.lit(""))
        return (
            items.join(spoken, on="customer_id", how="left", maintain_order="left")
            .join(self.texts, on=["spoken", "reason_kind"], how="left", maintain_order="left")
            .with_columns(reason=pl.col("before") + about + pl.col("after").fill_null(""))
            .drop("spoken", "before", "after")
        )

    def _spoken(self, language: str) -> str:
        tag = language.strip().replace("_", "-").lower()
        while tag and tag not in self.sentences:
            tag = tag.rpartition("-")[0]
        return tag or self.fallback
