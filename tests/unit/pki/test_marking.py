from everest_secure.pki import certificates
from everest_secure.pki.marking import DEVELOPMENT, is_development
from everest_secure.pki.store import Store
from everest_secure.run import HostTools


def test_every_development_certificate_is_marked(shared_pki: Store) -> None:
    found = [certificates.load_one(path) for path in shared_pki.directory.glob("*.cert.pem")]
    assert len(found) == 6
    assert all(is_development(certificate) for certificate in found)


def test_no_release_certificate_is_marked(shared_release: Store) -> None:
    found = [certificates.load_one(path) for path in shared_release.directory.glob("*.cert.pem")]
    assert len(found) == 6
    assert not any(is_development(certificate) for certificate in found)


def test_openssl_shows_the_mark(shared_pki: Store) -> None:
    shown = HostTools().run(["openssl", "x509", "-noout", "-subject", "-in", shared_pki.certificate("root")])
    assert f"OU = {DEVELOPMENT}".encode() in shown.replace(b"OU=", b"OU = ")
