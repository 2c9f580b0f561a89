import pytest

from everest_secure.bundle import rauc
from everest_secure.bundle.errors import BundleError


def test_values_are_unquoted_as_a_shell_would() -> None:
    assert rauc.variables(b"RAUC_A='it'\\''s'\nRAUC_B='two\nlines'\nRAUC_C=7\n\n") == {
        "RAUC_A": "it's",
        "RAUC_B": "two\nlines",
        "RAUC_C": "7",
    }


@pytest.mark.parametrize("output", [b"", b"RAUC_A='open", b"rm -rf x", b"\xff='x'", b"PATH='x'"])
def test_anything_but_assignments_is_refused(output: bytes) -> None:
    with pytest.raises(BundleError, match="cannot be read"):
        rauc.variables(output)
