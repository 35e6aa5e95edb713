"""Topics as the re-count understands them: one normal form, and every topic that a product belongs to."""

import polars as pl

EDGE = r"^[\p{Z}\p{C}>]+|[\p{Z}\p{C}>]+$"
BETWEEN = r"[\p{Z}\p{C}]*>[\p{Z}\p{C}>]*"


def normalised_topic(column: str) -> pl.Expr:
    """A topic in the form in which two are compared: lower case, ` > ` between levels; null when nothing is left.

    As far as a finished file can show it: without the ' that keeps it from being a formula, with blanks for what would
    break its line.
    """
    text = shown(column).str.replace_all(EDGE, "").str.replace_all(BETWEEN, " > ").str.to_lowercase()
    return pl.when(text != "").then(text).alias(column)


def shown(column: str) -> pl.Expr:
    """A text as a finished file shows it, but for the ' in front of what could be a formula."""
    return pl.col(column).str.replace("^'", "").str.replace_all(r"[\p{Cc}\x{2028}\x{2029}]+", " ")


def topics_of(products: pl.DataFrame) -> pl.DataFrame:
    """topic, each once: every level of the category paths, from the top and by its own name, and every tag."""
    paths = products.select(topic="category").select(normalised_topic("topic")).drop_nulls().unique()
    levels = paths.select(pl.col("topic").str.split(" > ").alias("names"))
    deepest = levels["names"].list.len().max() if levels.height else 0
    depths = range(1, int(deepest or 0) + 1)  # type: ignore[arg-type]
    found = [levels.select(topic=pl.col("names").list.head(depth).list.join(" > ")) for depth in depths]
    names = levels.select(topic="names").explode("topic")
    tags = products.select(topic="tags").explode("topic").select(normalised_topic("topic"))
    return pl.concat([*found, names, tags]).drop_nulls().unique()
