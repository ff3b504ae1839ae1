"""Every spec under specs/ as one test. The claims are in the YAML files, not here."""


def test_spec(spec, harness, request):
    """A spec passes when its claim is met; otherwise the failure text is the finding."""
    harness.check(spec, request.node)
