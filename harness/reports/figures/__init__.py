"""Figures: each is numbers first (`numbers`), then a drawing of them and of nothing else (`draw`)."""
