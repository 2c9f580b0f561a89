from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from everest_secure.errors import ToolError
from everest_secure.pki import certificates
from everest_secure.pki.errors import PkiError
from everest_secure.pki.store import Store
from everest_secure.run import Argument, HostTools
from support import pki as support

SIGNING = ["signer", "secure-boot-db"]
AUTHORITIES = ["root", "intermediate"]
ALL = [*AUTHORITIES, "signer", "secure-boot-pk", "secure-boot-kek", "secure-boot-db"]


def value(pki: Store, name: str, kind: type[x509.ExtensionType]) -> x509.Extension[x509.ExtensionType]:
    return certificates.load_one(pki.certificate(name)).extensions.get_extension_for_class(kind)


@pytest.mark.parametrize("name", SIGNING)
def test_what_signs_code_says_so_critically_and_nothing_else(shared_pki: Store, name: str) -> None:
    purposes = value(shared_pki, name, x509.ExtendedKeyUsage)
    assert purposes.critical
    assert purposes.value == x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])


@pytest.mark.parametrize("name", sorted(set(ALL) - set(SIGNING)))
def test_what_signs_no_code_has_no_extended_key_usage(shared_pki: Store, name: str) -> None:
    with pytest.raises(x509.ExtensionNotFound):
        value(shared_pki, name, x509.ExtendedKeyUsage)


@pytest.mark.parametrize("name", ALL)
def test_only_authorities_may_issue(shared_pki: Store, name: str) -> None:
    constraints, usage = value(shared_pki, name, x509.BasicConstraints), value(shared_pki, name, x509.KeyUsage)
    assert constraints.critical
    assert usage.critical
    path_length = {"root": 2, "intermediate": 0}.get(name)
    assert constraints.value == x509.BasicConstraints(ca=name in AUTHORITIES, path_length=path_length)
    authority = name in AUTHORITIES
    assert usage.value == x509.KeyUsage(not authority, False, False, False, False, authority, authority, False, False)


@pytest.mark.parametrize(("name", "issuer"), [("signer", "intermediate"), ("intermediate", "root"), ("root", "root")])
def test_key_identifiers_link_a_certificate_to_its_issuer(shared_pki: Store, name: str, issuer: str) -> None:
    above = value(shared_pki, issuer, x509.SubjectKeyIdentifier).value
    own = value(shared_pki, name, x509.AuthorityKeyIdentifier).value
    assert isinstance(above, x509.SubjectKeyIdentifier)
    assert isinstance(own, x509.AuthorityKeyIdentifier)
    assert own.key_identifier == above.digest


def test_a_certificate_is_valid_a_day_before_it_was_made(shared_pki: Store) -> None:
    certificate = certificates.load_one(shared_pki.certificate("signer"))
    assert support.now() - certificate.not_valid_before_utc >= timedelta(days=1)


def test_a_certificate_never_outlasts_its_issuer(pki: Store) -> None:
    support.add_signer(pki, "late", days=14610)
    late, issuer = (certificates.load_one(pki.certificate(name)) for name in ("late", "intermediate"))
    assert late.not_valid_after_utc == issuer.not_valid_after_utc


@pytest.mark.parametrize("name", SIGNING)
def test_openssl_takes_a_signer_for_code_signing_only(shared_pki: Store, name: str) -> None:
    issuer: list[Argument] = ["-CAfile", shared_pki.keyring, "-untrusted", shared_pki.certificate("intermediate")]
    anchor: list[Argument] = issuer if name == "signer" else ["-CAfile", shared_pki.certificate(name), "-partial_chain"]
    verify: list[Argument] = ["openssl", "verify", *anchor]
    HostTools().run([*verify, "-purpose", "any", shared_pki.certificate(name)])
    with pytest.raises(ToolError):
        HostTools().run([*verify, "-purpose", "sslserver", shared_pki.certificate(name)])


def test_a_file_with_two_certificates_is_not_taken_for_one(tmp_path: Path, shared_pki: Store) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(shared_pki.certificate("root").read_bytes() * 2)
    assert len(certificates.load_all(both)) == 2
    with pytest.raises(PkiError, match="holds 2 certificates"):
        certificates.load_one(both)


@pytest.mark.parametrize("content", [b"hello", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_what_is_no_certificate_is_refused_in_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.pem"
    path.write_bytes(content)
    with pytest.raises(PkiError, match="holds no PEM certificate"):
        certificates.load_all(path)
