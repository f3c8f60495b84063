"""Measurements of gst itself: how fast it trains, how well it finds a spectrum."""
