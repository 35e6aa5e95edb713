"""What the demo shop's range is made of: categories with their rhythms and seasons, styles with their brands."""

from dataclasses import dataclass

import numpy as np

from recsys.demo.draws import Floats
from recsys.demo.horizon import WEEKS


@dataclass(frozen=True)
class Category:
    """One category: how much is sold of it, when, for how much, and whether it is bought again.

    `rhythm_days` is set for what is used up and bought again. A `project` is bought in one burst and then finished.
    `season` is the strength of its season (0: none, 1: 7 times as much in the best week as in the worst) and `peak` the
    day of the year on which it is best.
    """

    name: str
    department: str
    kinds: tuple[str, ...]
    weight: float
    cents: tuple[int, int]
    rhythm_days: int | None = None
    project: bool = False
    sensitive: bool = False
    season: float = 0.0
    peak: int = 0


CATEGORIES = (
    Category("coffee", "pantry", ("espresso beans", "filter coffee"), 6, (549, 1890), rhythm_days=28, season=0.1),
    Category("tea", "pantry", ("green tea", "black tea", "herbal tea"), 5, (299, 1490), rhythm_days=35, season=0.4),
    Category("chocolate", "pantry", ("chocolate bar", "pralines"), 4, (199, 2490), season=0.7, peak=345),
    Category("dog food", "pets", ("dry dog food", "dog snacks"), 4, (499, 4990), rhythm_days=24),
    Category("cat food", "pets", ("dry cat food", "cat snacks"), 4, (399, 3990), rhythm_days=21),
    Category("pet toys", "pets", ("dog toy", "cat toy"), 2, (399, 2490)),
    Category("skin care", "drugstore", ("day cream", "body lotion"), 4, (499, 3990), rhythm_days=56, season=0.2),
    Category("hair care", "drugstore", ("shampoo", "conditioner"), 3, (349, 1990), rhythm_days=45),
    Category(
        "vitamins", "drugstore", ("vitamin tablets", "magnesium powder"), 3, (599, 2990), rhythm_days=30, season=0.3
    ),
    Category("intimate health", "drugstore", ("pregnancy test", "intimate care"), 1, (499, 2490), sensitive=True),
    Category("cleaning", "household", ("dish soap", "laundry powder"), 4, (249, 1490), rhythm_days=40),
    Category("bedding", "home", ("duvet cover", "pillow"), 4, (1990, 9990), season=0.3, peak=15),
    Category("lighting", "home", ("table lamp", "floor lamp"), 3, (2490, 19900), season=0.4, peak=320),
    Category("decoration", "home", ("vase", "candle", "picture frame"), 5, (590, 4990), season=0.5, peak=335),
    Category("cookware", "kitchen", ("frying pan", "saucepan"), 4, (1990, 14900), season=0.2, peak=340),
    Category("tableware", "kitchen", ("mug", "plate", "bowl"), 4, (490, 3990)),
    Category(
        "bathroom renovation", "renovation", ("wash basin", "shower head", "tile set"), 1, (2990, 49900), project=True
    ),
    Category("kitchen renovation", "renovation", ("sink", "worktop", "cupboard door"), 1, (4990, 79900), project=True),
    Category("floor laying", "renovation", ("oak boards", "underlay", "skirting"), 1, (1990, 29900), project=True),
    Category("nursery", "renovation", ("cot", "changing table", "night light"), 1, (1990, 39900), project=True),
    Category("plants", "garden", ("shrub", "seeds", "herb pot"), 4, (199, 3990), season=0.9, peak=115),
    Category("outdoor furniture", "garden", ("deck chair", "garden table"), 2, (3990, 39900), season=0.9, peak=150),
    Category("knitwear", "fashion", ("jumper", "cardigan", "scarf"), 4, (2490, 11900), season=0.8, peak=320),
    Category("swimwear", "fashion", ("swimming trunks", "swimsuit"), 2, (1490, 6990), season=1.0, peak=175),
    Category("shoes", "fashion", ("trainers", "boots", "sandals"), 4, (3990, 15900), season=0.2, peak=270),
    Category("books", "leisure", ("novel", "cookbook", "travel guide"), 6, (799, 3490), season=0.4, peak=345),
    Category("games", "leisure", ("board game", "puzzle"), 3, (990, 4990), season=0.7, peak=345),
    Category("hiking", "leisure", ("backpack", "hiking socks"), 3, (990, 17900), season=0.6, peak=200),
)

STYLES = {
    "classic": ("Altmark", "Brenner & Co", "Kontor 8"),
    "natural": ("Grünwald", "Linnea", "Moosgrün"),
    "modern": ("Fjordlys", "Nube", "Studio Ost"),
    "playful": ("Bonbon", "Pépin", "Zuckerwerk"),
}
"""Brands per style. Whoever likes a style likes it in every category, so a taste shows across departments."""

CELLS = len(CATEGORIES) * len(STYLES)
"""A cell is one category in one style: number category * styles + style."""

RHYTHM_DAYS = np.array([category.rhythm_days or 0 for category in CATEGORIES])
IS_PROJECT = np.array([category.project for category in CATEGORIES])
IS_SENSITIVE = np.array([category.sensitive for category in CATEGORIES])
WEIGHTS: Floats = np.array([float(category.weight) for category in CATEGORIES])


def season_factors() -> Floats:
    """Weeks by categories: how much more or less than usual is bought of it that week."""
    middle = np.arange(WEEKS)[:, None] * 7 + 3 + 243  # 2025-09-01 is day 243 of its year
    strength = np.array([category.season for category in CATEGORIES])
    peak = np.array([category.peak for category in CATEGORIES])
    factors: Floats = np.exp(strength * np.cos(2 * np.pi * (middle - peak) / 365))
    return factors
