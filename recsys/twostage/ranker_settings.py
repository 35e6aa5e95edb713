"""How the second stage learns."""

from dataclasses import asdict, dataclass, field
from typing import Any

from recsys.model_settings import Recommend
from recsys.twostage.candidates import Counts


@dataclass(frozen=True)
class RankerSettings:
    """How a ranker learns. `tastes` and `counts` hold for its candidates, when it learns and when it ranks."""

    trees: int = 100
    """Of each objective."""
    leaves: int = 31
    learning_rate: float = 0.08
    truncation: int = 20
    """Places of a list whose order is learnt."""
    pairs_per_leaf: int = 50
    share_of_features: float = 0.5
    share_of_customers: float = 1.0
    l2: float = 5.0
    seed: int = 42
    tastes: Recommend = field(default_factory=lambda: Recommend(half_life_days=120, alpha=20))
    counts: Counts = field(default_factory=Counts)

    def card(self) -> dict[str, Any]:
        """Everything that decides what is learnt, as JSON has it; not the number of threads."""
        learning = asdict(self)
        learning["tastes"] = self.tastes.model_dump(
            mode="json", exclude={"threads", "k", "popular_days", "country_buyers"}
        )
        return learning
