"""A made-up shop: people with tastes of their own, what they do for thirteen months, and the files it delivers.

Nobody in it exists: e-mail addresses end in domains reserved for examples, phone numbers begin with a country code
that no country has, names are put together from short lists.
"""
