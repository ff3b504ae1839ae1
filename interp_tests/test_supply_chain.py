"""What is installed is what is pinned, and what is asked for ends before the next major version."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, distribution

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from interp_tests.project import REPO

EXTRAS = ("dev", "gemma3", "ray")  # what `make` installs
# Tools whose version changes no verdict: constraints.txt pins them, and any newer one will do.
OF_THE_ENVIRONMENT = {"setuptools"}  # comes with it, and torch takes any
UNBOUNDED = {"ruff", "mypy", "types-pyyaml", "pandas-stubs", "scipy-stubs", "types-jsonschema"}


def project():
    return tomllib.loads((REPO / "pyproject.toml").read_text())["project"]


def asked_for():
    found = project()
    extras = found["optional-dependencies"]
    return [Requirement(one) for one in (*found["dependencies"], *(r for name in EXTRAS for r in extras[name]))]


def constraints():
    lines = [line.partition("#")[0].strip() for line in (REPO / "constraints.txt").read_text().splitlines()]
    return [Requirement(line) for line in lines if line]


def installed(requirements):
    """Every distribution that these lead to in this environment, {canonical name: version}."""
    found, left = {}, list(requirements)
    while left:
        one = left.pop()
        name = canonicalize_name(one.name)
        if name in found:
            continue
        try:
            here = distribution(one.name)
        except PackageNotFoundError:  # an alternative of another platform
            continue
        found[name] = here.version
        for text in here.requires or ():
            more = Requirement(text)
            if more.marker is None or any(more.marker.evaluate({"extra": e}) for e in (*one.extras, "")):
                left.append(more)
    return found


def unpinned(found, pins):
    """Names whose installed version is not the exact pinned one; a local build (+cpu) is its public version."""
    exact = {canonicalize_name(p.name): str(p.specifier).removeprefix("==") for p in pins}
    return sorted(name for name, version in found.items() if exact.get(name) != version.partition("+")[0])


def test_all_that_is_installed_is_pinned_exactly():
    """What `make` installs, direct or not, stands in constraints.txt with the version that is here."""
    found = installed(asked_for())
    assert len(found) > 100
    assert set(unpinned(found, constraints())) <= OF_THE_ENVIRONMENT


def test_a_pin_that_is_missing_or_moved_is_named():
    """The check above can fail."""
    assert unpinned({"torch": "2.13.0+cpu", "numpy": "2.4.6"}, [Requirement("torch==2.13.0")]) == ["numpy"]
    assert unpinned({"numpy": "2.4.6"}, [Requirement("numpy==2.4.5")]) == ["numpy"]


@pytest.mark.parametrize("requirement", asked_for(), ids=str)
def test_a_direct_dependency_has_an_upper_bound(requirement):
    """Below the next major version, or exactly one."""
    bounded = re.search(r"<|==", str(requirement.specifier))
    assert bounded or canonicalize_name(requirement.name) in UNBOUNDED


def test_every_pin_is_exact():
    """No range in constraints.txt, and no name twice."""
    names = [canonicalize_name(one.name) for one in constraints()]
    assert all(re.fullmatch(r"==[\w.!+]+", str(one.specifier)) for one in constraints())
    assert len(names) == len(set(names))
