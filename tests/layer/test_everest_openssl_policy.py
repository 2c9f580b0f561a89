import os
import re
import subprocess
from pathlib import Path

import pytest

from support.layer import Bench, contents, production

pytestmark = pytest.mark.layer


def openssl(configuration: Path, *arguments: str) -> str:
    return subprocess.run(
        ["openssl", *arguments], env={**os.environ, "OPENSSL_CONF": str(configuration)}, capture_output=True, text=True, check=True
    ).stdout


def test_openssl_offers_exactly_the_suites_of_the_policy(layer: Bench) -> None:
    package = layer.package("everest-openssl-policy")
    policy = production()
    assert contents(package) == {"/etc/everest/openssl.cnf": 0o644}
    offered = openssl(package.files / "etc/everest/openssl.cnf", "ciphers", "-s").strip().split(":")
    assert set(offered) == {*policy.tls_ciphers, *policy.tls_ciphersuites}


def test_openssl_refuses_to_offer_an_older_protocol(layer: Bench) -> None:
    configuration = layer.package("everest-openssl-policy").files / "etc/everest/openssl.cnf"
    minimum = re.search(r"^MinProtocol = (\S+)$", configuration.read_text(), re.MULTILINE)
    assert minimum is not None
    assert minimum[1] == production().tls_min_protocol
    assert openssl(configuration, "ciphers", "-s", "-tls1_1").strip() == ""
