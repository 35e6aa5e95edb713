"""Ranking metrics by the independent library ranx, run by a Python of its own: the library is a hundred times our size.

Reads {"wanted": {customer: products}, "named": {customer: products in order}, "ks": [...]} and prints, per k, the list
of hit rate, recall, average precision and NDCG of all customers in order.
"""

import json
import sys

from ranx import Qrels, Run, evaluate  # type: ignore[import-not-found]

asked = json.load(sys.stdin)
wanted = Qrels({customer: dict.fromkeys(some, 1) for customer, some in asked["wanted"].items()})
named = {
    customer: {product: -float(rank) for rank, product in enumerate(some)} for customer, some in asked["named"].items()
}
scores = []
for k in asked["ks"]:
    names = [f"{name}@{k}" for name in ("hit_rate", "recall", "map", "ndcg")]
    found = evaluate(wanted, Run(named), names, return_mean=False, make_comparable=True)
    scores.append([found[name].tolist() for name in names])
print(json.dumps(scores))
