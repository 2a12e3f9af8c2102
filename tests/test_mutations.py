"""A sample of the wrong formulas that ``mutate.py`` tries; each must make a test fail."""

from __future__ import annotations

import pytest

pytest.importorskip("tomllib", reason="Python 3.11 and above read TOML")

import mutate


@pytest.fixture(scope="module")
def project():
    with mutate.copy_of_the_project() as copy:
        yield copy


@pytest.mark.slow
@pytest.mark.parametrize("name", [each.name for each in mutate.mutations() if each.sample])
def test_a_wrong_formula_is_noticed(name, project):
    (mutation,) = (each for each in mutate.mutations() if each.name == name)
    assert mutate.noticed(mutation, project)


def test_every_wrong_formula_still_fits_the_code(project):
    listed = mutate.mutations()
    assert len({each.name for each in listed}) == len(listed) >= 20
    for each in listed:
        assert (project / each.file).read_text("utf-8").count(each.old) == 1, each.name
        assert each.old != each.new


def test_a_change_that_no_test_notices_is_an_error(project):
    harmless = mutate.Mutation("", "convcost/units.py", '"""', '"""', "tests/test_goldens.py")
    with pytest.raises(ValueError, match="places that read"):
        mutate.noticed(harmless, project)
    lines = (project / "convcost/units.py").read_text("utf-8").splitlines()
    with pytest.raises(ValueError, match="status 0"):
        mutate.noticed(harmless._replace(old=lines[0], new=lines[0], tests="tests/test_goldens.py -k vgg16"), project)
