"""Measurements of gst itself: how fast it trains and analyses, how well it finds a spectrum."""
