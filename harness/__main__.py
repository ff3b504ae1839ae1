"""`python -m harness` is `interp`."""

from harness.cli import main

main()
