"""Which settings of the model find most of what was bought next: a seeded search over closed windows (Optuna's TPE)."""

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import optuna
import polars as pl
from optuna.samplers import TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from recsys.evaluation.metrics import accuracy
from recsys.evaluation.rivals import Then
from recsys.evaluation.scoreboard import Task
from recsys.lists import Features, model_of
from recsys.model_settings import Recommend, Weights
from recsys.models.popular import PopularList
from recsys.ranking import eligible, numbered
from recsys.twostage.history import History

WINDOWS = (None, 90, 180, 365)
FACTORS = (16, 32, 64, 128)
ITERATIONS = (10, 15, 25)
MOST_LEARNERS = 50_000
"""Settings are tried on no more customers than this: which ones are good shows there too, and time does not grow."""

log = logging.getLogger("recsys")


@dataclass(frozen=True)
class Exercise:
    """What was known before one closed window, and what was to be found in it."""

    history: History
    popularity: pl.DataFrame
    candidates: pl.Series
    task: Task

    @classmethod
    def of(cls, features: Features, task: Task) -> Self:
        """From a fold's features and what is to be found there; of more than MOST_LEARNERS customers a seeded draw."""
        history, candidates = features.history, eligible(features.products)
        people = history.events.get_column("customer_id").unique().sort()
        if len(people) > MOST_LEARNERS:
            drawn = np.random.default_rng(features.settings.seed).choice(len(people), MOST_LEARNERS, replace=False)
            is_drawn = pl.col("customer_id").is_in(people.gather(np.sort(drawn)).implode())
            history = replace(history, events=history.events.filter(is_drawn))
            task = replace(task, relevant=task.relevant.filter(is_drawn), excluded=task.excluded.filter(is_drawn))
        return cls(history, features.popularity, candidates, task)

    @property
    def fingerprint(self) -> str:
        """Hash of what is known and of what is to be found."""
        digest = hashlib.sha256(self.history.end.isoformat().encode())
        for frame in (self.history.events, self.task.relevant):
            digest.update(frame.hash_rows(seed=0).sort().to_numpy().tobytes())
        return digest.hexdigest()

    def ndcg(self, settings: Recommend) -> float:
        """Mean NDCG at k of the model with these settings, then popular; 0 when nobody bought anything."""
        model = Then(model_of(self.history, settings), PopularList(self.popularity))
        task = self.task
        found = numbered(model.recommend(task.customers, self.candidates, task.excluded, settings.k), settings.k)
        values = accuracy(found, task.relevant, task.customers, settings.k)
        return float(values.get_column("ndcg").mean() or 0.0)  # type: ignore[arg-type]


def search(
    exercises: Sequence[Exercise], start: Recommend, trials: int, journal: Path, progress: Callable[[str], None]
) -> tuple[Recommend, list[dict[str, Any]]]:
    """The best settings found, and every trial (number, ndcg, settings), in order.

    The first trial is `start`. The same exercises, start and seed give the same trials, also when an earlier search was
    cut off, wherever: finished trials are kept in `journal`, under a name for all that they depend on, and not run
    again; of one that was not finished nothing is left. ndcg is the mean over exercises; of equal ones the earlier
    trial wins.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    name = hashlib.sha256(
        json.dumps([start.model_dump(mode="json"), [exercise.fingerprint for exercise in exercises]]).encode()
    ).hexdigest()
    _mend(journal)
    storage = JournalStorage(JournalFileBackend(str(journal)))
    kept = optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)
    while len(done := _finished(kept)) < trials:
        number = len(done)
        sampler = TPESampler(seed=start.seed + number, n_startup_trials=max(4, trials // 3), multivariate=False)
        study = optuna.create_study(sampler=sampler, direction="maximize")
        study.add_trials(done)
        trial = study.ask()
        settings = _suggested(trial, start) if number else start
        trial.set_user_attr("settings", settings.model_dump(mode="json"))
        value = sum(exercise.ndcg(settings) for exercise in exercises) / max(1, len(exercises))
        kept.add_trial(study.tell(trial, value))
        best = max([value, *(one.value or 0 for one in done)])
        progress(f"tune: trial {number + 1} of {trials}: ndcg {value:.4f}, best {best:.4f}")
    shown = [
        {"trial": number, "ndcg": round(float(trial.value or 0), 6), "settings": trial.user_attrs["settings"]}
        for number, trial in enumerate(done, start=1)
    ]
    winner = max(done, key=lambda trial: (trial.value or 0, -trial.number))
    return Recommend.model_validate(winner.user_attrs["settings"]), shown


def _mend(journal: Path) -> None:
    """Take a last line away that was being written when the search was cut off: nothing could be added after it."""
    if journal.is_file():
        with journal.open("r+b") as file:
            file.truncate(file.read().rfind(b"\n") + 1)


def _finished(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """In order, numbered from 0 without gaps."""
    done = study.get_trials(states=[optuna.trial.TrialState.COMPLETE])
    for number, trial in enumerate(done):
        trial.number = number
    return done


def _suggested(trial: optuna.Trial, start: Recommend) -> Recommend:
    seen = trial.suggest_float("seen", 0.0, 1.0)
    weights = Weights(order=1.0, cart=round(seen, 3), wishlist=round(seen, 3), view=round(seen / 3, 3))
    return start.model_copy(
        update={
            "half_life_days": trial.suggest_int("half_life_days", 14, 365, log=True),
            "window_days": trial.suggest_categorical("window_days", WINDOWS),
            "weights": weights,
            "alpha": round(trial.suggest_float("alpha", 0.5, 100.0, log=True), 3),
            "regularization": round(trial.suggest_float("regularization", 0.001, 0.3, log=True), 4),
            "factors": trial.suggest_categorical("factors", FACTORS),
            "iterations": trial.suggest_categorical("iterations", ITERATIONS),
        }
    )
