"""What any list of a history is drawn from: made once, which takes as long as many lists, and asked often."""

from recsys.model_settings import Recommend
from recsys.twostage.candidates import Counts, Sources
from recsys.twostage.features import Features
from recsys.twostage.history import History


class Pool:
    """The sources of candidates, and what is known about customers and products, at the end of a history.

    `tastes` and `counts` are those of `RankerSettings`. Raises ModelError as `AlsModel.fit` does.
    """

    def __init__(self, history: History, tastes: Recommend, counts: Counts) -> None:
        self.sources = Sources(history, tastes, counts)
        self.features = Features(self.sources)
