"""docs/service.md is followed to the letter, from an empty charger to one that is ready to charge (CERT-08, TPM-06)."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from support.authority import Pair, issue
from support.layer import Bench
from support.provisioning import charger, share
from support.shells import any_shell, shell
from support.tpm import software_tpm

pytestmark = pytest.mark.layer

GUIDE = Path(__file__).parents[2] / "docs/service.md"


def commands(text: str) -> list[str]:
    """Return the lines of code blocks that call a program."""
    blocks = re.findall(r"^ *```\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    return [line.strip() for block in blocks for line in block.splitlines() if line.strip().startswith("everest-")]


def sign(request: Path, authority: Pair, *above: Pair) -> None:
    """Answer a request as the operator's authority does, with a chain beside it."""
    name = request.name.removesuffix(".csr")
    ca, key, leaf = (request.with_name(f"{name}.{kind}") for kind in ("ca", "ca-key", "leaf"))
    ca.write_text(authority.pem)
    key.write_text(authority.key_pem)
    options = ("-copy_extensions", "copy", "-days", "200", "-CA", ca, "-CAkey", key, "-out", leaf)
    subprocess.run(["openssl", "x509", "-req", "-in", request, *options], capture_output=True, check=True)
    request.with_name(f"{name}-chain.pem").write_text(leaf.read_text() + "".join(each.pem for each in (authority, *above)))


@any_shell
def test_the_guide_leads_from_an_empty_charger_to_one_that_is_ready(layer: Bench, sh: str) -> None:
    guide = GUIDE.read_text().partition("## When a certificate is no longer")[0]
    steps = [*commands(guide), *re.findall(r"`(everest-cert (?:check csms secc|list|expiry --days 90))`", guide)]
    assert [step.split()[1] for step in steps] == ["csr", "csr", "install", "install", "install", "install", "check", "list", "expiry"]
    with charger(layer, tuple(shell(sh)), "everest-cert") as box, software_tpm(box.place) as tpm:
        for kind in ("csms", "mf", "mo", "v2g"):
            directory = box.store / "ca" / kind
            directory.mkdir(parents=True)
            for path in (directory, directory.parent):
                path.chmod(0o700)
                if os.geteuid() == 0:
                    os.chown(path, 1500, 1500)
        desk = box.place / "desk"
        desk.mkdir()
        (box.place / "charge-point-id").write_text("CP-0815\n")
        roots = {name: issue(f"{name} Root", authority=True) for name in ("csms", "v2g")}
        for name, root in roots.items():
            (desk / f"{name}-root.pem").write_text(root.pem)
        share(tpm)
        environment = {**box.environment(tpm.tcti), "PATH": f"{box.place}:/usr/sbin:/usr/bin:/sbin:/bin"}
        said = ""
        for step in ("everest-tpm provision", *steps):
            command = [*box.accounts, "sh", "-c", step]
            done = subprocess.run(command, env=environment, cwd=desk, capture_output=True, text=True, check=False)
            assert (done.returncode, done.stderr) == (0, ""), step
            said += done.stdout
            for request in desk.glob("*.csr"):
                if not (desk / f"{request.stem}-chain.pem").exists():
                    root = roots["csms" if request.stem == "csms" else "v2g"]
                    sign(request, issue("Sub", by=root, authority=True))
    assert "\n6 certificates and 2 keys are right\n" in said
    assert "O=Acme" in said
