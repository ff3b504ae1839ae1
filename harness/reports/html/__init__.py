"""index.html: a run as one file that needs no network, no server and no other file."""

from harness.reports.html.page import page_html

__all__ = ["page_html"]
