"""The champion: how lists are made until something better is proven. The weekly evaluation keeps it, nights use it.

Each folder below `published/champions/` is what one weekly evaluation found: `card.json`, and, when the champion is of
two stages, the ranker twice: `ranker/`, which has learnt from every closed window and is for nights, and `held_out/`,
which knows nothing of the last one, to measure with. `published/champion.json` names the folder that holds. A night
takes it in once, at ingest: `inputs.json` names its files by hash, `raw/champion/` holds them, and a published night
keeps what it had.
"""

import os
import shutil
from datetime import date
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from recsys.errors import StageInputMissing
from recsys.files import private_folder, read_json, sha256_of, write_json
from recsys.model_settings import Recommend

CARD = "card.json"
RANKER, HELD_OUT = "ranker", "held_out"
RANKER_FORMAT = 3
"""Which rankers can be read: it grows when their files or features change."""
TUNED = ("factors", "iterations", "regularization", "alpha", "half_life_days", "window_days", "weights")
"""Settings of the model that a champion brings along; the others stay as the shop file has them."""


class Recipe(BaseModel):
    """How lists are made: `als`, the model alone, or `two_stage`, a ranker over its and others' candidates."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["als", "two_stage"] = "als"
    settings: dict[str, Any] = {}
    """Those of TUNED that differ from the shop file's; empty: the argued defaults."""
    only_buyers: bool = False
    """The ranker orders the lists of those who have bought something; the model alone makes all others."""

    def over(self, recommend: Recommend) -> Recommend:
        """A shop file's settings with the recipe's in their place."""
        return Recommend.model_validate(recommend.model_dump() | self.settings)


def known(published: Path, run_date: date) -> dict[str, str] | None:
    """The champion for `inputs.json`: the folder's name, and file -> hash; None when there is none.

    None as well when it was chosen on a later night: a night that is run late uses nothing that came after it.
    """
    pointer = published / "champion.json"
    if not pointer.is_file():
        return None
    folder = published / "champions" / read_json(pointer)["folder"]
    if read_json(folder / CARD)["run_date"] > run_date.isoformat():
        return None
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith(".")]
    return {"folder": folder.name} | {path.relative_to(folder).as_posix(): sha256_of(path) for path in files}


def crown(published: Path, folder: Path) -> bool:
    """Let nights from now on use what is in this folder of `published/champions/`.

    False, and nothing changes, where what holds was found on a later night's data.
    """
    pointer = published / "champion.json"
    if pointer.is_file():
        holds = published / "champions" / read_json(pointer)["folder"] / CARD
        if holds.is_file() and read_json(holds)["run_date"] > read_json(folder / CARD)["run_date"]:
            return False
    write_json(pointer, {"folder": folder.name})
    return True


def link(published: Path, raw: Path, entry: dict[str, str] | None) -> None:
    """Make `raw/champion/` anew from what `known` said. Without a champion the folder is not there.

    A ranker that an erasure withdrew since is left out, and the night is made without it. Raises StageInputMissing when
    the card is gone, or any file holds other bytes.
    """
    target = raw / "champion"
    shutil.rmtree(target, ignore_errors=True)
    if not entry:
        return
    folder = published / "champions" / entry["folder"]
    for name, sha256 in entry.items():
        if name == "folder":
            continue
        path = folder / name
        if name != CARD and not path.is_file():
            continue
        if not path.is_file() or sha256_of(path) != sha256:
            raise StageInputMissing(f"{path}: gone or changed since a night used it. Bring it back from a backup.")
        private_folder((target / name).parent)
        os.link(path, target / name)


def recipe_of(raw: Path) -> Recipe:
    """The recipe of a night whose raw tables are here: its champion's, else the argued defaults.

    A champion whose ranker was withdrawn, or is of a format of before, counts as the model alone.
    """
    card = raw / "champion" / CARD
    if not card.is_file():
        return Recipe()
    recipe = Recipe.model_validate(read_json(card)["champion"])
    ranker = raw / "champion" / RANKER / CARD
    if recipe.kind == "two_stage" and not (ranker.is_file() and read_json(ranker)["format"] == RANKER_FORMAT):
        return Recipe(kind="als", settings=recipe.settings)
    return recipe


def withdraw(root: Path) -> int:
    """Remove every ranker below a data root, and what nights took in of them: somebody they learnt from is to be
    forgotten. Returns how many were published."""
    published = [path for name in (RANKER, HELD_OUT) for path in root.glob(f"published/champions/*/{name}")]
    taken = [path for name in (RANKER, HELD_OUT) for path in root.glob(f"nights/*/raw/champion/{name}")]
    for path in (*published, *taken, *root.glob("nights/*/weekly")):
        shutil.rmtree(path)
    return len(published)
