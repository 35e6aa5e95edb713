"""Delivery: published files go to where the company's tools take them, each part at most once, and on record."""
