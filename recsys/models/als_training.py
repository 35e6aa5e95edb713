"""The rounds of alternating least squares, and the card that says what came of what.

After the last round every customer's vector is solved for exactly, given the final product vectors: the rounds leave
one behind that is older and approximate, and reasons must add up to the scores that are shipped.
"""

import hashlib
import json
import logging
from collections.abc import Callable
from typing import Any

import implicit
import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from implicit.recommender_base import ModelFitError
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from recsys.errors import ModelError
from recsys.model_settings import Recommend
from recsys.models.contributions import Histories, Whitened, confidences, customer_vectors
from recsys.models.matrix import InteractionMatrix

log = logging.getLogger("recsys.als")


def trained(matrix: InteractionMatrix, settings: Recommend) -> AlternatingLeastSquares:
    """The library's model of these interactions, with exact vectors of customers; no interactions: no vectors.

    Raises ModelError when numbers come out that are not finite.
    """
    shape = (len(matrix.customers), len(matrix.products))
    with threadpool_limits(1, "blas"), np.errstate(over="ignore", invalid="ignore"):
        library = AlternatingLeastSquares(
            factors=settings.factors,
            regularization=settings.regularization,
            alpha=settings.alpha,
            iterations=settings.iterations,
            num_threads=settings.threads,
            random_state=settings.seed,
            dtype=np.float32,
        )
        weights = matrix.weights.astype(np.float32)
        if not len(weights):
            library.user_factors = np.zeros((0, settings.factors), dtype=np.float32)
            library.item_factors = np.zeros((0, settings.factors), dtype=np.float32)
            return library
        log.info("als: %d factors, %d interactions, %d customers, %d products", settings.factors, len(weights), *shape)
        entries = csr_matrix((weights, matrix.columns, matrix.row_starts), shape=shape)
        try:
            library.fit(entries, show_progress=False, callback=_progress(settings.iterations))
        except ModelFitError:
            raise ModelError(_not_finite(settings)) from None
        if np.isfinite(library.item_factors).all():
            histories = Histories(matrix.row_starts, matrix.columns, confidences(matrix.weights, settings.alpha))
            space = Whitened.of(library.item_factors, settings.regularization)
            library.user_factors = customer_vectors(space, histories)
    if not (np.isfinite(library.user_factors).all() and np.isfinite(library.item_factors).all()):
        raise ModelError(_not_finite(settings))
    return library


def _not_finite(settings: Recommend) -> str:
    return (
        f"als: training gave numbers that are not finite (recommend.alpha {settings.alpha}, recommend.regularization "
        f"{settings.regularization}, recommend.factors {settings.factors}). Lower alpha or raise regularization."
    )


def _progress(iterations: int) -> Callable[[int, float, float | None], None]:
    """A callback that logs about three of the iterations."""
    every = max(1, iterations // 3)

    def report(iteration: int, _seconds: float, _loss: float | None) -> None:
        if (iteration + 1) % every == 0:
            log.info("als: iteration %d of %d", iteration + 1, iterations)

    return report


def card_of(matrix: InteractionMatrix, settings: Recommend) -> dict[str, Any]:
    """What was trained on what; the version is a hash of the settings, the interactions and the libraries' versions.

    Numpy is one of them: its matrix product differs in the last bits from one release to the next.
    """
    trained = {
        "settings": settings.model_dump(include={"factors", "iterations", "regularization", "alpha", "seed"}),
        "customer_factors": "exact",
        "interactions_sha256": matrix.sha256,
        "libraries": f"implicit {implicit.__version__}, numpy {np.__version__}",
    }
    counts = {
        "interactions": len(matrix.columns),
        "customers": len(matrix.customers),
        "products": len(matrix.products),
    }
    return versioned(trained) | {"counts": counts}


def versioned(card: dict[str, Any]) -> dict[str, Any]:
    """A card with the version that follows from all of it but counts and an earlier version."""
    named = {name: value for name, value in card.items() if name not in {"counts", "model_version"}}
    digest = hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()
    return card | {"model_version": f"als-{digest[:12]}"}
