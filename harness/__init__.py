"""interp-specs: unit tests for claims about what a language model's features encode."""

__version__ = "0.1.0"
