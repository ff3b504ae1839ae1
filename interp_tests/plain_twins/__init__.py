"""Slow, obvious versions of every statistic, written from the formulas; they import nothing of harness."""
