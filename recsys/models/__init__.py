"""Models: each learns from interactions and names products per customer, behind `recsys.models.recommender`."""
