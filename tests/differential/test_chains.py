"""Chains that constrain, expire or end early, judged here and by `openssl verify`."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtensionOID, NameOID, ObjectIdentifier

from everest_secure.parse.chain import build_chain, chain_faults
from support.authority import Pair, issue
from support.reference import require


def named(**names: str) -> x509.DirectoryName:
    return x509.DirectoryName(x509.Name([x509.NameAttribute(getattr(NameOID, kind), value) for kind, value in names.items()]))


def only(*names: x509.GeneralName, but: Sequence[x509.GeneralName] = ()) -> tuple[x509.ExtensionType, ...]:
    return (x509.NameConstraints(list(names) or None, list(but) or None),)


def alternatively(*names: x509.GeneralName) -> tuple[x509.ExtensionType, ...]:
    return (x509.SubjectAlternativeName(names),)


def network(text: str) -> x509.IPAddress:
    return x509.IPAddress(ip_network(text))


def address(text: str) -> x509.IPAddress:
    return x509.IPAddress(ip_address(text))


def distance(encoded: bytes) -> tuple[x509.ExtensionType, ...]:
    """Return constraints to example.org, with the distance from it that RFC 5280 forbids and that `cryptography` cannot write."""

    def within(tag: int, content: bytes) -> bytes:
        return bytes([tag, len(content)]) + content

    subtree = within(0x30, within(0x82, b"example.org") + encoded)
    return (x509.UnrecognizedExtension(ExtensionOID.NAME_CONSTRAINTS, within(0x30, within(0xA0, subtree))),)


NOBODY_KNOWS = (x509.UnrecognizedExtension(ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\0"),)
ROOT = issue("Root", authority=True)
SUB = issue("Sub", by=ROOT, authority=True)
SHORT = issue("Short", by=ROOT, authority=True, path_length=0)
DOWN = issue("Down", by=SHORT, authority=True)
SAME = issue("Short", by=SHORT, authority=True)
MAIL = x509.RFC822Name("a@example.org")
HOSTS = x509.DNSName("example.org")


def below(constraints: tuple[x509.ExtensionType, ...], name: str = "Leaf", *, organization: str = "", more: tuple[x509.ExtensionType, ...] = ()) -> tuple[Pair, list[Pair], list[Pair]]:  # fmt: skip
    """Return a leaf, its intermediate with constraints, and the root."""
    sub = issue("Constrained", by=ROOT, authority=True, more=constraints)
    return issue(name, by=sub, organization=organization, more=more), [sub], [ROOT]


def by(sub: Pair, *between: Pair, anchors: Sequence[Pair] = (ROOT,)) -> tuple[Pair, list[Pair], list[Pair]]:
    return issue("Leaf", by=sub), [sub, *between], list(anchors)


def twice(upper: tuple[x509.ExtensionType, ...], lower: tuple[x509.ExtensionType, ...], name: x509.GeneralName) -> tuple[Pair, list[Pair], list[Pair]]:  # fmt: skip
    """Return a leaf with a name, two intermediates with constraints, and the root."""
    first = issue("Upper", by=ROOT, authority=True, more=upper)
    second = issue("Lower", by=first, authority=True, more=lower)
    return issue("Leaf", by=second, more=alternatively(name)), [second, first], [ROOT]


def itself(authority: Pair) -> Pair:
    """Issue a new key of an authority by the old one; OpenSSL knows by the key identifiers that it is no root."""
    key = ec.generate_private_key(ec.SECP256R1())
    old, new = authority.key.public_key(), key.public_key()
    identifiers = (x509.AuthorityKeyIdentifier.from_issuer_public_key(old), x509.SubjectKeyIdentifier.from_public_key(new))
    return issue("Named", by=authority, authority=True, key=key, uncritical=identifiers)


def pointing(key: bytes | None = None, *, serial: int | None = None, name: str = "Root") -> tuple[Pair, list[Pair], list[Pair]]:
    """Return a chain whose leaf names the certificate of its issuer by its key's identifier, or by the issuer's issuer and serial number."""
    names = None if serial is None else [named(COMMON_NAME=name)]
    leaf = issue("Leaf", by=MARKED, uncritical=(x509.AuthorityKeyIdentifier(key, names, serial),))
    return leaf, [MARKED], [ROOT]


STRANGE = issue(
    "Strange", authority=True, uncritical=(x509.SubjectKeyIdentifier(b"own"), x509.AuthorityKeyIdentifier(b"other", None, None))
)
MARKED = issue("Marked", by=ROOT, authority=True, uncritical=(x509.SubjectKeyIdentifier(b"marked"),))
HOSTED = issue("Hosted", by=ROOT, authority=True, more=only(HOSTS))
NAMED = issue("Named", by=ROOT, authority=True, more=only(named(COMMON_NAME="Leaf")))
EXPIRED_ROOT = issue("Root", authority=True, days=1, age=9)
OLD_KEY = issue("Root again", authority=True, days=1, age=9)
NEW_KEY = issue("Root again", authority=True, key=OLD_KEY.key)
CHAINS = {
    "a permitted directory": below(only(named(COMMON_NAME="Leaf"))),
    "a permitted directory in capitals and with spaces": below(only(named(COMMON_NAME="a  LEAF")), "A Leaf"),
    "another directory than the permitted one": below(only(named(COMMON_NAME="Other"))),
    "a longer directory than the permitted one": below(only(named(COMMON_NAME="Leaf")), organization="o"),
    "one of two permitted directories": below(only(named(COMMON_NAME="Other"), named(COMMON_NAME="Leaf"))),
    "an excluded directory": below(only(but=[named(COMMON_NAME="Leaf")])),
    "another directory than the excluded one": below(only(but=[named(COMMON_NAME="Other")])),
    "an alternative directory that is not permitted": below(only(named(COMMON_NAME="Leaf")), more=alternatively(named(COMMON_NAME="x"))),
    "hosts are constrained and none is named": below(only(HOSTS)),
    "a host that is not permitted": below(only(HOSTS), more=alternatively(x509.DNSName("example.com"))),
    "a host that is excluded": below(only(but=[HOSTS]), more=alternatively(x509.DNSName("a.example.org"))),
    "a host in the common name": below(only(HOSTS), "charger.example.com"),
    "a host that is permitted": below(only(HOSTS), more=alternatively(x509.DNSName("a.example.org"))),
    "the permitted host itself": below(only(HOSTS), more=alternatively(x509.DNSName("example.org"))),
    "a permitted host in capitals": below(only(HOSTS), more=alternatively(x509.DNSName("A.EXAMPLE.Org"))),
    "a host that only ends like the permitted one": below(only(HOSTS), more=alternatively(x509.DNSName("badexample.org"))),
    "a wildcard below the permitted host": below(only(HOSTS), more=alternatively(x509.DNSName("*.example.org"))),
    "a wildcard above an excluded host": below(only(but=[x509.DNSName("a.example.org")]), more=alternatively(x509.DNSName("*.example.org"))),
    "a host below a subtree that begins with a dot": below(only(x509.DNSName(".example.org")), more=alternatively(x509.DNSName("a.example.org"))),
    "the host of a subtree that begins with a dot": below(only(x509.DNSName(".example.org")), more=alternatively(x509.DNSName("example.org"))),
    "a subtree of all hosts": below(only(x509.DNSName("")), more=alternatively(x509.DNSName("a.example.com"))),
    "all hosts are excluded": below(only(but=[x509.DNSName("")]), more=alternatively(x509.DNSName("a.example.com"))),
    "all hosts are excluded and none is named": below(only(but=[x509.DNSName("")])),
    "a permitted host that is excluded too": below(only(HOSTS, but=[x509.DNSName("b.example.org")]), more=alternatively(x509.DNSName("a.b.example.org"))),
    "one of two hosts is not permitted": below(only(HOSTS), more=alternatively(x509.DNSName("a.example.org"), x509.DNSName("a.example.com"))),
    "one of two permitted hosts": below(only(HOSTS, x509.DNSName("example.com")), more=alternatively(x509.DNSName("a.example.com"))),
    "a permitted host in the common name": below(only(HOSTS), "charger.example.org"),
    "a common name of one label": below(only(HOSTS), "charger"),
    "a common name that is no host's": below(only(HOSTS), "charger-.example.com"),
    "a common name with a space": below(only(HOSTS), "charger 1.example.com"),
    "a common name beside a permitted host": below(only(HOSTS), "charger.example.com", more=alternatively(x509.DNSName("a.example.org"))),
    "a common name beside a mail address": below(only(HOSTS), "charger.example.com", more=alternatively(MAIL)),
    "an address in the permitted network": below(only(network("10.0.0.0/8")), more=alternatively(address("10.1.2.3"))),
    "an address outside the permitted network": below(only(network("10.0.0.0/8")), more=alternatively(address("11.1.2.3"))),
    "an address in an excluded network": below(only(but=[network("10.0.0.0/8")]), more=alternatively(address("10.1.2.3"))),
    "an address outside the excluded network": below(only(but=[network("10.0.0.0/8")]), more=alternatively(address("11.1.2.3"))),
    "an address of IPv6 below a network of IPv4": below(only(network("0.0.0.0/0")), more=alternatively(address("fe80::1"))),
    "an address of IPv6 in the permitted network": below(only(network("fe80::/10")), more=alternatively(address("fe80::1"))),
    "an address of IPv6 outside it": below(only(network("fe80::/10")), more=alternatively(address("2001:db8::1"))),
    "an address that looks like a host": below(only(network("10.0.0.0/8")), more=alternatively(x509.DNSName("11.0.0.1"))),
    "an excluded directory above an alternative one": below(only(but=[named(ORGANIZATION_NAME="x")]), more=alternatively(named(ORGANIZATION_NAME="x", COMMON_NAME="y"))),
    "constraints of two authorities": twice(only(HOSTS), only(x509.DNSName("a.example.org")), x509.DNSName("b.example.org")),
    "both constraints of two authorities": twice(only(HOSTS), only(x509.DNSName("a.example.org")), x509.DNSName("b.a.example.org")),
    "an intermediate with a host of its own that is not permitted": by(issue("a.example.com", by=HOSTED, authority=True, more=alternatively(x509.DNSName("a.example.com"))), HOSTED),
    "an intermediate with a host in its common name": by(issue("a.example.com", by=HOSTED, authority=True), HOSTED),
    "an authority that issued itself is exempt": by(itself(NAMED), NAMED),
    "an authority that issued itself has no exempt leaf": (issue("Other", by=(again := itself(NAMED))), [again, NAMED], [ROOT]),
    "the least distance from a permitted host": below(distance(b"\x80\1\1"), more=alternatively(HOSTS)),
    "the greatest distance from a permitted host": below(distance(b"\x81\1\3"), more=alternatively(HOSTS)),
    "no distance from a permitted host": below(distance(b""), more=alternatively(HOSTS)),
    "a mail address that is excluded": below(only(but=[MAIL]), more=alternatively(MAIL)),
    "another kind of name than is constrained": below(only(HOSTS), more=alternatively(MAIL)),
    "constraints of the root": (issue("Leaf", by=(bound := issue("Bound", authority=True, more=only(named(COMMON_NAME="x"))))), [], [bound]),
    "constraints of a leaf bind nobody": (issue("Leaf", by=SUB, more=only(named(COMMON_NAME="x"))), [SUB], [ROOT]),
    "no authority below": by(SHORT),
    "an authority too many": by(DOWN, SHORT),
    "an authority of the same name below": by(SAME, SHORT),
    "path length of the root": by(issue("a", by=(tight := issue("Tight", authority=True, path_length=0)), authority=True), anchors=[tight]),
    "an expired intermediate": by(issue("a", by=ROOT, authority=True, days=1, age=9)),
    "an expired intermediate above another": by(issue("a", by=(gone := issue("b", by=ROOT, authority=True, days=1, age=9)), authority=True), gone),
    "an intermediate that is not valid yet": by(issue("a", by=ROOT, authority=True, age=-9)),
    "an expired root": by(issue("a", by=EXPIRED_ROOT, authority=True), anchors=[EXPIRED_ROOT]),
    "an expired root beside a new one of the same key": by(issue("a", by=OLD_KEY, authority=True), anchors=[OLD_KEY, NEW_KEY]),
    "a new root beside an expired one of the same key": by(issue("a", by=OLD_KEY, authority=True), anchors=[NEW_KEY, OLD_KEY]),
    "an intermediate is the only anchor": by(SUB, anchors=[SUB]),
    "intermediate and root are anchors": by(SUB, anchors=[SUB, ROOT]),
    "the intermediate comes from the anchors alone": (issue("Leaf", by=SUB), [], [SUB, ROOT]),
    "the leaf is the only anchor": ((alone := issue("Leaf", by=SUB)), [], [alone]),
    "the leaf is its own root": ((own := issue("Own")), [], [own]),
    "a root that came along is no anchor": (issue("Leaf", by=ROOT), [ROOT], [issue("Other", authority=True)]),
    "a leaf issued": by(issue("Leaf too", by=ROOT)),
    "a critical extension of the leaf that nobody knows": (issue("Leaf", by=ROOT, more=NOBODY_KNOWS), [], [ROOT]),
    "a critical extension of an intermediate that nobody knows": by(issue("a", by=ROOT, authority=True, more=NOBODY_KNOWS)),
    "a critical key identifier": (issue("Leaf", by=ROOT, more=(x509.AuthorityKeyIdentifier.from_issuer_public_key(ROOT.key.public_key()),)), [], [ROOT]),
    "the key identifier of the issuer": pointing(b"marked"),
    "the key identifier of another": pointing(b"other"),
    "issuer and serial number of the issuer": pointing(serial=MARKED.certificate.serial_number),
    "the serial number of another": pointing(serial=1),
    "the issuer of another": pointing(serial=MARKED.certificate.serial_number, name="Other"),
    "a root that names another key": (issue("Leaf", by=STRANGE), [], [STRANGE]),
    "a critical identifier of its own key": by(issue("a", by=ROOT, authority=True, more=(x509.SubjectKeyIdentifier(b"1"),))),
    "a critical extension that is known": (issue("Leaf", by=ROOT, more=(x509.OCSPNoCheck(),)), [], [ROOT]),
    "a key of another kind in the middle": by(issue("a", by=ROOT, authority=True, key=rsa.generate_private_key(65537, 2048))),
}  # fmt: skip
STRICTER = {
    "a mail address that is permitted": below(only(x509.RFC822Name("example.org")), more=alternatively(MAIL)),
    "a URI that is permitted": below(only(x509.UniformResourceIdentifier(".example.org")), more=alternatively(x509.UniformResourceIdentifier("https://a.example.org/"))),
}  # fmt: skip
"""Chains that OpenSSL accepts and we refuse: constraints of mail addresses and URIs are not followed (parse/name_constraints.py)."""


@dataclass(frozen=True)
class Verdicts:
    """Whether a chain is accepted."""

    ours: bool
    theirs: bool
    said: str


def verdicts(chain: tuple[Pair, list[Pair], list[Pair]], place: Path) -> Verdicts:
    require("openssl")
    leaf, intermediates, anchors = chain
    built = build_chain(
        leaf.certificate, intermediates=[each.certificate for each in intermediates], anchors=[each.certificate for each in anchors]
    )
    faults = tuple(chain_faults(built, at=datetime.now(UTC)))
    for file, pairs in (("leaf", [leaf]), ("sub", intermediates), ("roots", anchors)):
        (place / file).write_text("".join(pair.pem for pair in pairs))
    command: list[str | Path] = ["openssl", "verify", "-no-CApath", "-no-CAstore", "-CAfile", place / "roots"]
    command += ["-untrusted", place / "sub"] if intermediates else []
    done = subprocess.run([*command, place / "leaf"], capture_output=True, text=True, check=False)
    return Verdicts(not faults, done.returncode == 0, f"{faults} {done.stdout} {done.stderr}")


@pytest.mark.parametrize("name", CHAINS)
def test_openssl_and_we_agree_on_a_chain(name: str, tmp_path: Path) -> None:
    said = verdicts(CHAINS[name], tmp_path)
    assert said.ours is said.theirs, said.said


@pytest.mark.parametrize("name", STRICTER)
def test_what_is_not_followed_is_refused_though_openssl_accepts_it(name: str, tmp_path: Path) -> None:
    said = verdicts(STRICTER[name], tmp_path)
    assert (said.ours, said.theirs) == (False, True), said.said
