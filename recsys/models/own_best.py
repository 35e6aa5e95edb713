"""Which products a model of tastes would by itself put among a customer's best, without scoring the whole catalogue.

A score is the inner product of two vectors, so the mean and the variance of a customer's scores of all products follow
from the mean and the covariance of the products' vectors. By Cantelli's inequality at most 1 / (1 + t^2) of any numbers
lie t standard deviations or more above their mean.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Rows = NDArray[np.int32]

DEVIATIONS = 2.0
"""So far above the mean of a customer's scores a product is among their best: a fifth of all products at the most, and
far fewer where few products stand out."""
BATCH = 200_000


def is_among_best(customers: Floats, products: Floats, rows: Rows, columns: Rows) -> NDArray[np.bool_]:
    """Per pair (row of `customers`, row of `products`): its score is that far above what the customer's products have.

    Time and memory go with the pairs and with customers x factors; nothing is as large as customers x products.
    """
    if not len(rows):
        return np.zeros(0, dtype=bool)
    vectors = products.astype(np.float64)
    mean, covariance = vectors.mean(axis=0), np.cov(vectors, rowvar=False, bias=True).reshape(vectors.shape[1], -1)
    asked, places = np.unique(rows, return_inverse=True)
    found, least = np.zeros(len(rows), dtype=bool), np.zeros(len(asked))
    for start in range(0, len(asked), BATCH):
        tastes = customers[asked[start : start + BATCH]].astype(np.float64)
        variance = ((tastes @ covariance) * tastes).sum(axis=1)
        least[start : start + BATCH] = tastes @ mean + DEVIATIONS * np.sqrt(np.maximum(variance, 0.0))
    for start in range(0, len(rows), BATCH):
        part = slice(start, start + BATCH)
        scores = np.einsum("pf,pf->p", customers[rows[part]], products[columns[part]], dtype=np.float64)
        found[part] = scores >= least[places[part]]
    return found
