"""One night of one shop: its date and where everything it makes lies.

```
<data_root>/
  landing/<sha256>                 source bytes as delivered
  landed/<table>/<sha256>-<mapping>.parquet    typed rows of one source file; beside it .bad.parquet and .json
  lock                             held by the stage that is writing
  registry.json                    which path brought which bytes last
  nights/<run_date>/
    inputs.json                    the source files this night read, by hash; fixed once the night is published
    raw/<table>.parquet            contract tables as of the night's end; quarantine, settings, channels
    raw/ledger/<book>/             links to the entries of earlier nights
    raw/champion/                  how lists are made: links to the champion's card and ranker, if there is one
    warehouse.duckdb               dbt's database of this night
    features/*.parquet             what the model reads
    model/                         factors and card
    recommendations.parquet
    evaluation/                    what lists made the same way were worth on the last closed window
    reasons.parquet                what the individual scores come from
    decisions/*.parquet            what dbt decided: decisions and the export tables
    files/<channel>/               finished files, not yet under a final name
    gate/verdict.json              what was checked, bound to the hashes of the files
    stages/                        differ between reruns, as the page does: <stage>.json, seconds and counts of each
                                   stage; export_<channel>.attempt, the number of the newest attempt
    page/index.html                the audience page
  published/
    audiences/<channel>/<run_date>/    files, manifest.json, _SUCCESS
    ledger/<book>/<channel>/<run_date>.parquet    recipients and items, written before the files get their final names
    deliveries/<channel>/<run_date>.jsonl         what left for which target, and how far it is known to have come
    champions/, champion.json      what weekly evaluations found, and whose finding holds
    suppressed.parquet             who is not to be contacted, as keyed hashes; only grows
    erased.parquet                 whose rows are refused, as keyed hashes
    erasures/                      a report per request, and a log
    analysts.duckdb
```
"""

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from recsys.champion import Recipe, recipe_of
from recsys.config import Shop
from recsys.model_settings import Recommend


@dataclass(frozen=True)
class Night:
    """The night of `run_date`: everything strictly before its end counts."""

    shop: Shop
    run_date: date

    @property
    def end(self) -> datetime:
        """The first moment (naive UTC) that no longer counts."""
        return self.shop.night_end(self.run_date)

    @property
    def folder(self) -> Path:
        return self.shop.root / "nights" / self.run_date.isoformat()

    @property
    def recipe(self) -> Recipe:
        """How the night makes its lists: the champion it took in, else the argued defaults."""
        return recipe_of(self.raw)

    @property
    def recommend(self) -> Recommend:
        """The settings of the lists: the shop file's, with those that the champion brings along."""
        return self.recipe.over(self.shop.recommend)

    @property
    def inputs(self) -> Path:
        return self.folder / "inputs.json"

    @property
    def raw(self) -> Path:
        return self.folder / "raw"

    @property
    def warehouse(self) -> Path:
        return self.folder / "warehouse.duckdb"

    @property
    def features(self) -> Path:
        return self.folder / "features"

    @property
    def model(self) -> Path:
        return self.folder / "model"

    @property
    def recommendations(self) -> Path:
        return self.folder / "recommendations.parquet"

    @property
    def evaluation(self) -> Path:
        return self.folder / "evaluation"

    @property
    def reasons(self) -> Path:
        return self.folder / "reasons.parquet"

    @property
    def decisions(self) -> Path:
        return self.folder / "decisions"

    @property
    def files(self) -> Path:
        return self.folder / "files"

    def rows(self, channel: str) -> Path:
        """What a channel's tool knows once it has the night's files; made with them, for the ledger."""
        return self.folder / "rows" / f"{channel}.parquet"

    @property
    def verdict(self) -> Path:
        return self.folder / "gate" / "verdict.json"

    @property
    def stages(self) -> Path:
        return self.folder / "stages"

    @property
    def page(self) -> Path:
        return self.folder / "page" / "index.html"

    @property
    def published(self) -> Path:
        return self.shop.root / "published"

    @property
    def ledger(self) -> Path:
        return self.published / "ledger"

    @property
    def deliveries(self) -> Path:
        return self.published / "deliveries"

    @property
    def analysts(self) -> Path:
        return self.published / "analysts.duckdb"

    def audience(self, channel: str) -> Path:
        """Folder under final names for one channel's files of this night."""
        return self.published / "audiences" / channel / self.run_date.isoformat()
