"""Certificates that are replaced and revoked, by the image's own programs (CERT-08, RAUC-09): bundles of signers old and new, and roots of the charger's store.

Run by `make boot`, after `make demo`, as root, in a container; systemd, RAUC and OpenSSL are the image's.
"""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.hashes import SHA256

from support.authority import issue
from support.bundle import incompressible
from support.container import IN_A_CONTAINER, boot
from support.layer import Bench
from support.pki import make
from support.release import everest_secure
from support.updates import SIZE, Signer, bundle

from .conftest import Witness

pytestmark = pytest.mark.boot

STORE = "/etc/everest/certs"
CONFIGURATION = "etc/rauc/system.conf"


def done(*arguments: str | Path) -> None:
    """Run a command of everest-secure, which must do what it is asked for."""
    said = everest_secure(*arguments)
    assert said.returncode == 0, said.stderr


@pytest.mark.proves("RAUC-09")
def test_a_bundle_of_the_new_signer_is_taken_and_one_of_the_revoked_signer_refused(image: Path, tmp_path: Path, proof: Witness) -> None:
    pki = make(tmp_path / "pki")
    done("pki", "rotate", pki.directory, "signer")
    slot = tmp_path / "slot.img"
    slot.write_bytes(incompressible(SIZE))
    bundles = tmp_path / "bundles"
    bundles.mkdir()
    for name in ("signer", "signer-2"):
        signer = Signer(pki.key(name), pki.certificate(name), pki.chain(name))
        bundle(bundles / f"{name}.raucb", signer, {"rootfs": slot})
    judge = "for name in signer signer-2; do rauc info /$name.raucb >/dev/null 2>/said && echo $name taken || tail -n 1 /said; done"
    said = []
    for revoked in (False, True):
        if revoked:
            done("pki", "revoke", pki.directory, "signer", "--reason", "key-compromise")
        for authority in ("root", "intermediate"):
            done("pki", "crl", pki.directory, authority)
        keyring = tmp_path / f"keyring-{revoked}.pem"
        done("pki", "export-keyring", pki.directory, keyring, "--lists")
        configuration = (image / CONFIGURATION).read_text()
        assert "\ncheck-crl=false\n" in configuration
        outcome = boot(
            image,
            tmp_path / f"machine-{revoked}",
            files={"etc/rauc/keyring.pem": keyring.read_text(), CONFIGURATION: configuration.replace("check-crl=false", "check-crl=true")},
            trees=(bundles,),
            probe=f"{judge}\nsystemctl poweroff --force --no-block",
        )
        said.append(outcome.probe.splitlines())
    proof.excerpt([IN_A_CONTAINER, "before the old signer was revoked:", *said[0], "and after:", *said[1]])
    assert said[0] == ["signer taken", "signer-2 taken"]
    assert "certificate revoked" in said[1][0]
    assert said[1][1:] == ["signer-2 taken"]


@pytest.mark.proves("CERT-08", "LOG-03")
def test_a_bad_chain_is_refused_and_a_revoked_certificate_is_gone_the_service_another_and_the_event_seen_once(
    image: Path, layer: Bench, tmp_path: Path, proof: Witness
) -> None:
    probe = f"""kept=$(find {STORE}/ -type f -exec sha256sum {{}} + | sha256sum)
everest-cert install csms /bad.pem >/dev/null; echo "refused: $?"
[ "$kept" = "$(find {STORE}/ -type f -exec sha256sum {{}} + | sha256sum)" ] && echo unchanged
everest-cert install ca mo /root.pem | sed 's/.*: //'
before=$(systemctl show -p InvocationID everest.service)
everest-cert revoke $digest | tail -n 1
[ "$before" != "$(systemctl show -p InvocationID everest.service)" ] && systemctl is-active everest.service
wc -c <{STORE}/ca/mo/MO_ROOT_CA.pem
until everest-security-monitor show | grep -q certificate-revoked; do sleep 1; done
everest-security-monitor show | grep certificate- | cut -f 3,4,5,6
systemctl poweroff --force --no-block"""
    root = issue("MO Root", authority=True)
    digest = root.certificate.fingerprint(SHA256()).hex()
    names = ("everest-tpm", "everest-cert", "everest-security-monitor")
    outcome = boot(
        image,
        tmp_path,
        probe=f"PATH=$PATH:/usr/libexec/everest-secure digest={digest}\n{probe}",
        files={"root.pem": root.pem, "bad.pem": issue("Nobody", by=issue("Stranger", authority=True)).pem},
        trees=tuple(layer.package(name).files for name in names),
    )
    proof.excerpt([IN_A_CONTAINER, *outcome.probe.splitlines()])
    reason, refused, kept, installed, written, active, size, *events = outcome.probe.splitlines()
    assert reason.startswith("everest-cert: /bad.pem is refused: ")
    assert (refused, kept) == ("refused: 1", "unchanged")
    assert installed == f"root 'CN=MO Root', SHA-256 {digest}"
    assert (written, active, size) == (f"{STORE}/ca/mo/MO_ROOT_CA.pem: written without it", "active", "0")
    assert events == [
        f"certificate-installed\t5\t1\t{STORE}/ca/mo/MO_ROOT_CA.pem: {installed}",
        f"certificate-revoked\t5\t1\trevoked 'CN=MO Root', SHA-256 {digest}",
    ]
