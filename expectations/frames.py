"""Polars frames as the pandas frames that Great Expectations validates, at a few bytes per cell."""

from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    import pandas as pd

ANONYMOUS = frozenset({"customer_id", "product_id"})
"""Columns that are compared but never looked into: numbers stand for their values."""


def pandas_frame(frame: pl.DataFrame) -> "pd.DataFrame":
    """The same rows for pandas: texts and dates as categories, decimals as floats, null as missing.

    Ids become numbers of this frame alone, so that no customer's id ever reaches the validating library.
    """
    import pandas as pd

    return pd.DataFrame({column.name: _pandas_column(column) for column in frame.get_columns()}, copy=False)


def _pandas_column(column: pl.Series) -> Any:
    if column.dtype in (pl.String, pl.Date):
        return _categories(column.cast(pl.String), anonymous=column.name in ANONYMOUS)
    if isinstance(column.dtype, pl.Decimal):
        return column.cast(pl.Float64).to_numpy()
    return column.to_numpy()


def _categories(column: pl.Series, *, anonymous: bool) -> Any:
    import pandas as pd

    values = column.drop_nulls().unique().sort()
    codes = column.cast(pl.Enum(values)).to_physical().cast(pl.Int32).fill_null(-1).to_numpy()
    names = pd.RangeIndex(len(values)) if anonymous else pd.Index(values.to_list(), dtype=object)
    return pd.Categorical.from_codes(codes, categories=names)
