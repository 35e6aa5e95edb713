"""Lists in two stages: a few candidates per customer from several sources, then one ranker that orders them."""
