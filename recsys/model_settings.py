"""The model that recommends, and how it is measured."""

from pydantic import Field

from recsys.settings import Settings


class Weights(Settings):
    """How much one interaction of each kind counts before ageing."""

    order: float = Field(1.0, ge=0, description="An order that has the product")
    cart: float = Field(0.3, ge=0, description="Put into the cart")
    wishlist: float = Field(0.3, ge=0, description="Put on the wishlist")
    view: float = Field(0.1, ge=0, description="Looked at")


class Recommend(Settings):
    """The model and the lists."""

    k: int = Field(10, ge=1, le=100, description="Products per customer")
    factors: int = Field(64, ge=1, le=1024, description="Numbers that describe one customer's taste")
    iterations: int = Field(15, ge=1, le=200, description="Rounds of training")
    regularization: float = Field(0.01, ge=0, description="Pulls tastes towards zero; more where data is thin")
    alpha: float = Field(
        10.0, gt=0, description="Confidence is alpha x weight: less for long histories, far more for thin ones"
    )
    half_life_days: int = Field(60, ge=1, description="An interaction this old counts half")
    window_days: int | None = Field(None, ge=1, description="Older interactions count nothing; left out: all count")
    popular_days: int = Field(28, ge=1, description="Window of the popular list")
    country_buyers: int | None = Field(
        200,
        ge=1,
        description="A country with so many buyers in that window has a popular list of its own; null: none has",
    )
    weights: Weights = Weights()
    seed: int = Field(42, ge=0, description="Where training starts; the same seed gives the same lists")
    threads: int = Field(0, ge=0, description="0: all cores; the result is the same")


class Evaluate(Settings):
    """How it is measured whether the lists are good, and individual."""

    nightly: bool = Field(True, description="Off: the night is as long as it must be, and nobody knows")
    window_days: int = Field(
        28, ge=1, le=365, description="Lists as of so many days ago are compared with what was bought since"
    )
    trials: int = Field(12, ge=1, le=1000, description="Settings of the model that `recsys tune` tries")
    folds: int = Field(4, ge=2, le=12, description="Closed windows that `recsys tune` looks at, the last one to decide")
