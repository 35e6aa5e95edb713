"""Who is promoted, who gives way and what is said of it, on customers whose lists are as good as one likes."""

import numpy as np
import polars as pl
import pytest

from recsys.evaluation.contest import verdict

CUSTOMERS = 200


def judged(**means: float) -> dict[str, pl.DataFrame]:
    """Per name lists of about this goodness; what makes customers differ is nearly the same for all names."""
    random = np.random.default_rng(1)
    customers = pl.Series("customer_id", [f"c{number:03}" for number in range(CUSTOMERS)])
    share, noise = random.normal(0, 0.1, CUSTOMERS), random.normal(0, 0.02, (len(means), CUSTOMERS))
    noise -= noise.mean(axis=1, keepdims=True)
    return {
        name: pl.DataFrame([customers, pl.Series("ndcg", mean + share + own)])
        for (name, mean), own in zip(means.items(), noise, strict=True)
    }


@pytest.mark.parametrize(
    ("als", "of_buyers", "two_stage", "champion", "has_ranker", "winner", "begins"),
    [
        (0.30, 0.30, 0.30, 0.30, False, None, "The champion stays: the model alone"),
        (0.35, 0.35, 0.35, 0.30, False, "als", "Promoted: the model alone"),
        (0.30, 0.35, 0.35, 0.30, False, "two_stage_of_buyers", "Promoted: two stages for those who have bought,"),
        (0.30, 0.35, 0.40, 0.30, False, "two_stage", "Promoted: two stages,"),
        (0.30, 0.35, 0.35, 0.35, True, None, "The champion stays: two stages for those who have bought"),
        (0.30, 0.30, 0.30, 0.30, True, "als", "Back to the model alone"),
        (0.30, 0.30, 0.30, 0.35, True, None, "The champion stays: the model alone"),
    ],
)
def test_later_ones_have_to_prove_themselves_and_two_stages_every_week(
    als: float, of_buyers: float, two_stage: float, champion: float, has_ranker: bool, winner: str | None, begins: str
) -> None:
    found = judged(
        als=als, two_stage_of_buyers=of_buyers, two_stage=two_stage, champion=champion, popular=0.1, own_history=0.2
    )
    chosen, sentence, comparisons = verdict(found, ["popular", "own_history"], 1, has_ranker=has_ranker)
    assert chosen == winner
    assert sentence.startswith(begins)
    assert " Better beyond noise than the best simple rival, own history: NDCG +0." in sentence
    assert comparisons[-1]["one"] == (winner or "champion")


def test_a_champion_that_a_simple_rival_equals_is_told_so() -> None:
    found = judged(als=0.30, champion=0.30, own_history=0.30)
    sentence = verdict(found, ["own_history"], 1, has_ranker=False)[1]
    assert " Not better beyond noise than the best simple rival, own history: NDCG " in sentence
