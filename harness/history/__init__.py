"""The runs that reports/ holds: found, opened, indexed, drawn as a trend, and removed when there are too many."""
