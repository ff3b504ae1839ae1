"""Every spec under specs/ as one test, and every declared family. The claims are in the YAML files, not here."""


def test_spec(spec, harness, request):
    """A spec passes when its claim is met; otherwise the failure text is the finding."""
    harness.check(spec, request.node)


def test_family(family, harness, request):
    """A family passes when no member's q, corrected over all its members, is above the family's."""
    harness.check(family, request.node)
