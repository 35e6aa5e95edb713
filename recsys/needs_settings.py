"""When customers need something, and when no longer."""

from pydantic import Field, model_validator

from recsys.settings import Settings


class Needs(Settings):
    """When a need is over, comes back or has narrowed a list; where the defaults come from: docs/decisions/needs.md."""

    category_levels: int = Field(2, ge=1, le=10, description="How many steps of the category path make one need")
    min_buyers: int = Field(20, ge=1, description="Fewer observed buyers than this, and a category stays unknown")
    observe_days: int = Field(180, ge=1, le=3650, description="How long after it a purchase must have been watched")
    burst_days: int = Field(45, ge=1, le=365, description="Purchases at most this far apart belong to one burst")
    quiet_share: float = Field(
        0.95, gt=0, le=1, description="A burst is over when it has paused longer than this share of bursts ever do"
    )
    one_off_share: float = Field(
        0.85, gt=0.5, le=1, description="A category is one-off when at least this share of its buyers never come back"
    )
    again_share: float = Field(
        0.1, gt=0, le=1, description="Replenishable when at least this share of buyers buy the same product again"
    )
    max_irregularity: float = Field(
        1.0, gt=0, description="And when the middle half of their gaps is no wider than this x the median gap"
    )
    min_gaps: int = Field(20, ge=1, description="Fewer repurchases than this, and a product has no rhythm of its own")
    due_from: float = Field(0.6, ge=0, le=1, description="A product is due again after this share of its rhythm")
    due_until: float = Field(1.5, ge=1, description="And no longer lifted after this share of it")
    due_lift: float = Field(5.0, ge=1, le=10, description="The score of a product that is due is multiplied by this")
    follows_days: int = Field(90, ge=1, le=3650, description="How long what usually follows a finished need is lifted")
    follows_min_buyers: int = Field(30, ge=1, description="So many must have turned to it for it to count as following")
    follows_min_lift: float = Field(1.5, ge=1, description="And so many times as many after the need as before it")
    follows_lift: float = Field(1.5, ge=1, le=10, description="The score of what follows is multiplied by this")
    narrow_share: float = Field(
        0.8, gt=0, le=1, description="A person's sent items are narrow when one top category has more than this share"
    )
    narrow_min_items: int = Field(
        15,
        ge=1,
        description="Fewer items sent in 30 nights are not judged; one counts once a night, over all channels",
    )
    narrow_at_most: int = Field(3, ge=1, le=100, description="So many products of that category stay in a narrow list")

    @model_validator(mode="after")
    def _watched_long_enough(self) -> "Needs":
        if self.observe_days <= self.burst_days:
            raise ValueError(
                f"observe_days is {self.observe_days}, allowed: more than burst_days = {self.burst_days}; "
                "within a burst nobody can be seen to stay away"
            )
        return self
