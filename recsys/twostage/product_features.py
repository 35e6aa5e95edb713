"""What the second stage knows about a product: who buys it of late, and how that has changed."""

import numpy as np

from recsys.twostage.purchases import Codes, Floats, Lines, Purchases

OF_PRODUCT = (
    "buyers_7", "buyers_14", "buyers_28", "first_buyers_7", "first_buyers_14", "first_buyers_28",
    "growth", "acceleration", "first_share", "days_sold", "days_unsold",
    "price", "price_change", "log_basket", "repeated", "bought_again",
)  # fmt: skip
"""Buyers of the last days and first-time buyers; growth of 28 days against 90, and of 7 against 28; days since first
and last sale; price, and that of late against ever; lines per order that it is in of late; repeats."""

AGAIN_DAYS = 30
LATE_DAYS = 28


def of_products(purchases: Purchases) -> dict[str, Floats]:
    """Per name of OF_PRODUCT, and of what others are made of, one number per product; NaN where it is not known."""
    lines, bought, count = purchases.lines, purchases.bought, purchases.shape[1]

    def tally(places: Codes) -> Floats:
        return np.bincount(places, minlength=count).astype(np.float32)

    table = {f"buyers_{days}": tally(bought.product[bought.last <= days]) for days in (7, 14, 28, 90)}
    table |= {f"first_buyers_{days}": tally(bought.product[bought.first <= days]) for days in (7, 14, 28)}
    buyers = tally(bought.product)
    oldest, youngest = np.full(count, -np.inf, np.float32), np.full(count, np.inf, np.float32)
    np.maximum.at(oldest, lines.product, lines.age)
    np.minimum.at(youngest, lines.product, lines.age)
    older, again = _again(lines, count)
    is_late = lines.age <= LATE_DAYS
    late, sizes = lines.product[is_late], np.log(np.bincount(lines.order)[lines.order[is_late]])
    with np.errstate(divide="ignore", invalid="ignore"):
        price_change = _means(late, lines.price[is_late], count) / _means(lines.product, lines.price, count)
    return table | {
        "growth": 3 * (table["buyers_28"] + 1) / (table["buyers_90"] + 3),
        "acceleration": (4 * table["buyers_7"] + 2) / (table["buyers_28"] + 2),
        "first_share": (table["first_buyers_28"] + 1) / (table["buyers_28"] + 2),
        "days_sold": np.where(np.isfinite(oldest), oldest, np.nan),
        "days_unsold": np.where(np.isfinite(youngest), youngest, np.nan),
        "price": medians(lines.product, lines.price, count),
        "price_change": np.where(np.isfinite(price_change), price_change, np.nan),
        "log_basket": _means(late, sizes.astype(np.float32), count),
        "log_quantity": _means(late, np.log(lines.quantity[is_late]), count),
        "repeated": (tally(bought.product[bought.orders > 1]) + np.float32(0.5)) / (buyers + 10),
        "bought_again": (again + np.float32(0.5)) / (older + 10),
    }


def medians(groups: Codes, values: Floats, count: int) -> Floats:
    """Lower median of each group's known values; NaN where there are none."""
    is_known = ~np.isnan(values)
    groups, values = groups[is_known], values[is_known]
    order = np.lexsort((values, groups))
    sizes = np.bincount(groups, minlength=count)
    starts = np.cumsum(sizes) - sizes
    found = np.full(count, np.nan, dtype=np.float32)
    has_any = sizes > 0
    found[has_any] = values[order][(starts + (sizes - 1) // 2)[has_any]]
    return found


def _means(groups: Codes, values: Floats, count: int) -> Floats:
    """Mean of each group's known values; NaN where there are none."""
    is_known = ~np.isnan(values)
    totals = np.bincount(groups[is_known], values[is_known].astype(np.float64), minlength=count)
    sizes = np.bincount(groups[is_known], minlength=count)
    with np.errstate(invalid="ignore"):
        return (totals / sizes).astype(np.float32)


def _again(lines: Lines, products: int) -> tuple[Floats, Floats]:
    """Per product, customers who bought it before the last days, and those of them who bought it in these days too."""
    key = lines.customer.astype(np.int64) * products + lines.product
    is_late = lines.age <= AGAIN_DAYS
    older, later = np.unique(key[~is_late]), np.unique(key[is_late])
    both = np.intersect1d(older, later, assume_unique=True)
    counts = (np.bincount(keys % products, minlength=products).astype(np.float32) for keys in (older, both))
    return next(counts), next(counts)
