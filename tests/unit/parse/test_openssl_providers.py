"""Providers of a configuration; `openssl list -providers` says which ones it loads."""

import re
import subprocess
from pathlib import Path

import pytest

from everest_secure.parse.openssl_cnf import parse_openssl_config
from everest_secure.parse.openssl_providers import active_providers
from support.reference import require

INIT = "openssl_conf = init\n[init]\nproviders = list\n[list]\n"
CASES = {
    "both": INIT + "default = d\nlegacy = l\n[d]\nactivate = 1\n[l]\nactivate = yes\n",
    "one is only named": INIT + "default = d\nlegacy = l\n[d]\nactivate = 1\n[l]\n",
    "one has another name": INIT + "default = d\nold = l\n[d]\nactivate = on\n[l]\nidentity = legacy\nactivate = true\n",
    "a section is missing": INIT + "default = d\nlegacy = l\n[d]\nactivate = 1\n",
    "nothing leads there": "[list]\nlegacy = l\n[l]\nactivate = 1\n",
}


@pytest.mark.parametrize("case", CASES)
def test_openssl_loads_the_same_providers(case: str, tmp_path: Path) -> None:
    require("openssl")
    path = tmp_path / "openssl.cnf"
    path.write_text(CASES[case])
    done = subprocess.run(
        ["openssl", "list", "-providers"], env={"OPENSSL_CONF": str(path), "PATH": "/usr/bin"}, capture_output=True, text=True, check=False
    )
    loaded = set(re.findall(r"^  (\w+)$", done.stdout, re.MULTILINE))
    found = active_providers(parse_openssl_config(CASES[case], "x", include=lambda _: [], environment={}))
    assert found | {"default"} == loaded | {"default"}, done.stderr


def test_a_provider_that_is_switched_off_is_not_loaded() -> None:
    """OpenSSL before 3.2 loads it all the same, so that no oracle is asked."""
    text = INIT + "default = d\ntpm2 = t\n[d]\nactivate = 1\n[t]\nactivate = 0\n"
    assert active_providers(parse_openssl_config(text, "x", include=lambda _: [], environment={})) == {"default"}
