"""Datasets: their sources, their preparation, label noise, and what training reads."""
