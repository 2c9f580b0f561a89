"""Keys and certificates on the build host: there, readable, in date, belonging together, and of the right authority.

Nothing of a key ever gets into a variable, a message or an argument; the host's openssl reads the files.
"""

from __future__ import annotations

import os
import re
import ssl
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from everest_policy.facts import Data, is_on, tagged, words

MARK = "DEVELOPMENT - NOT FOR RELEASE"
"""Organizational unit of every certificate of a development PKI (docs/pki.md)."""
CODE_SIGNING = "Code Signing"
DIGITAL_SIGNATURE = "Digital Signature"
MAX_BYTES = 1 << 20
"""No PEM file is larger."""
_BLOCK = re.compile(rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----.*?-----END (?:X509 |TRUSTED )?CERTIFICATE-----", re.DOTALL)
"""OpenSSL, and so RAUC, takes all three for trust anchors (PEM_X509_INFO_read_bio(3))."""


@dataclass(frozen=True)
class Certificate:
    """What a refusal depends on."""

    name: str
    """Subject, as openssl writes it."""
    ends: float
    """Last moment of its validity, Unix time."""
    public: bytes
    development: bool
    """Whether it or its issuer carries the mark."""
    usage: str
    """Key usage as openssl writes it; empty without the extension."""
    purposes: str
    """Extended key usage as openssl writes it; empty without the extension."""


class Unusable(Exception):
    """A file that holds nothing of use; the text says what it is instead."""


def certificates(d: Data) -> str:
    """RAUC-02, RAUC-03, BOOT-01: each file of EVEREST_POLICY_CERTIFICATES holds certificates, all of them in date."""
    for knob in words(d, "EVEREST_POLICY_CERTIFICATES"):
        try:
            found = _certificates(_path(d, knob))
        except Unusable as problem:
            return _sentence(d, knob, f"{problem}; name a PEM file with certificates")
        for certificate in found:
            if certificate.ends < time.time():
                return _sentence(d, knob, f"holds '{certificate.name}', which has expired; renew it")
    return ""


def keys(d: Data) -> str:
    """RAUC-03, BOOT-01: each KEY:CERTIFICATE of EVEREST_POLICY_KEYS is a pair; what lies in a token is not asked."""
    for pair in words(d, "EVEREST_POLICY_KEYS"):
        knob, _, belonging = pair.partition(":")
        if is_token(d, knob):
            continue
        try:
            public = _public(_path(d, knob))
        except Unusable as problem:
            return _sentence(d, knob, f"{problem}; name the private key of {belonging}")
        try:
            certified = _certificates(_path(d, belonging))[0].public
        except Unusable as problem:
            return _sentence(d, belonging, f"{problem}; name the certificate of {knob}")
        if public not in (b"", certified):
            return _sentence(d, knob, f"is not the key of {belonging}; name the two files that belong together")
    return ""


def chains(d: Data) -> str:
    """RAUC-03: each CERTIFICATE:INTERMEDIATE:KEYRING of EVEREST_POLICY_CHAINS is a chain that ends in the keyring."""
    for chain in words(d, "EVEREST_POLICY_CHAINS"):
        leaf, intermediate, keyring = chain.split(":")
        try:
            trusted = is_trusted(d, leaf, intermediate, keyring)
        except Unusable as problem:
            return _sentence(d, leaf, f"cannot be verified against {keyring}, one of the two {problem}; name both files")
        if not trusted:
            return _sentence(d, leaf, f"is not of an authority in {keyring} '{d.getVar(keyring)}'; name a signer of that authority")
    return ""


def is_trusted(d: Data, leaf: str, intermediate: str, keyring: str) -> bool:
    """Whether the chain of three variables that name PEM files ends in the keyring; raises Unusable for a file that is none."""
    untrusted = ["-untrusted", d.getVar(intermediate) or ""] if d.getVar(intermediate) else []
    trusted = ["-no-CApath", "-no-CAstore", "-CAfile", _path(d, keyring)]
    return _openssl(["verify", *trusted, *untrusted, _path(d, leaf)], b"").rstrip().endswith(b": OK")


def purposes(d: Data) -> str:
    """RAUC-03: the chains of EVEREST_POLICY_CHAINS are for code signing, by the rule of RAUC's check-purpose=codesign.

    RAUC wants the purpose codeSigning in the leaf, digitalSignature in its key usage if it has one, and codeSigning in each authority that limits
    its purposes (RAUC's reference, "Purpose-Based Signature Verification").
    """
    for chain in words(d, "EVEREST_POLICY_CHAINS"):
        leaf, *authorities = chain.split(":")
        try:
            signer = _certificates(_path(d, leaf))[0]
            above = [(knob, found) for knob in authorities if d.getVar(knob) for found in _certificates(_path(d, knob))]
        except Unusable as problem:
            return _sentence(d, leaf, f"or what it is verified with {problem}; name PEM files with certificates")
        if CODE_SIGNING not in signer.purposes or (signer.usage and DIGITAL_SIGNATURE not in signer.usage):
            return _sentence(d, leaf, f"holds '{signer.name}', which is not for code signing; name a signer that `everest-secure pki` made")
        for knob, found in above:
            if found.purposes and CODE_SIGNING not in found.purposes:
                return _sentence(d, knob, f"holds '{found.name}', which may not issue signers of code; name an authority that may")
    return ""


def development(d: Data) -> str:
    """RAUC-02: nothing of EVEREST_POLICY_RELEASE is of a development authority in a production build."""
    if not is_on(d, "EVEREST_PRODUCTION"):
        return ""
    for knob in words(d, "EVEREST_POLICY_RELEASE"):
        try:
            found = _certificates(_path(d, knob))
        except Unusable as problem:
            return _sentence(d, knob, f"{problem}; name a PEM file with certificates")
        for certificate in found:
            if certificate.development:
                return (
                    f"RAUC-02: {knob} '{d.getVar(knob)}' holds '{certificate.name}', an authority of development; name the one for release"
                )
    return ""


def split(file: str, directory: str) -> list[str]:
    """Write each certificate of a PEM file to a file of its own in a directory that is there, and return their paths; none for no file."""
    made = []
    for number, block in enumerate(_blocks(file) if file else []):
        made.append(str(Path(directory) / f"{number}.pem"))
        Path(made[-1]).write_bytes(block + b"\n")
    return made


def is_token(d: Data, knob: str) -> bool:
    """Whether a variable names a key in a PKCS#11 token (RFC 7512) and not a file."""
    return (d.getVar(knob) or "").startswith("pkcs11:")


def _sentence(d: Data, knob: str, problem: str) -> str:
    return tagged(d, knob, f"{knob} '{d.getVar(knob) or ''}' {problem}")


def _path(d: Data, knob: str) -> str:
    path = d.getVar(knob) or ""
    if not path:
        raise Unusable("is not set")
    if not Path(path).is_file():
        raise Unusable("is no file")
    if not os.access(path, os.R_OK):
        raise Unusable("cannot be read by whoever builds")
    return path


def _certificates(path: str) -> list[Certificate]:
    found = [_certificate(block) for block in _blocks(path)]
    if not found:
        raise Unusable("holds no certificate")
    return found


def _blocks(path: str) -> list[bytes]:
    with Path(path).open("rb") as file:
        return _BLOCK.findall(file.read(MAX_BYTES))


def _certificate(pem: bytes) -> Certificate:
    shown = ["-subject", "-issuer", "-enddate", "-pubkey", "-ext", "keyUsage,extendedKeyUsage"]
    said = _openssl(["x509", "-noout", *shown, "-nameopt", "RFC2253,utf8,-esc_msb"], pem)
    text = said.decode(errors="replace")
    facts = dict(re.findall(r"^(subject|issuer|notAfter)= *(.*)$", text, re.MULTILINE))
    extensions = dict(re.findall(r"^X509v3 (Key Usage|Extended Key Usage):.*\n +(.*)$", text, re.MULTILINE))
    if len(facts) != 3:
        raise Unusable("holds a certificate that openssl cannot read")
    return Certificate(
        name=facts["subject"],
        ends=ssl.cert_time_to_seconds(facts["notAfter"]),
        public=_key_block(said),
        development=MARK in facts["subject"] or MARK in facts["issuer"],
        usage=extensions.get("Key Usage", ""),
        purposes=extensions.get("Extended Key Usage", ""),
    )


def _public(path: str) -> bytes:
    """Return the public half of a private key; empty when it is encrypted, which nobody asks about here."""
    with Path(path).open("rb") as file:
        text = file.read(MAX_BYTES)
    if b"PRIVATE KEY-----" not in text:
        raise Unusable("holds no private key")
    if b"ENCRYPTED" in text:
        return b""
    said = _key_block(_openssl(["pkey", "-pubout"], text))
    if not said:
        raise Unusable("holds a key that openssl cannot read")
    return said


def _key_block(text: bytes) -> bytes:
    found = re.search(rb"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", text, re.DOTALL)
    return found[0] if found else b""


def _openssl(arguments: list[str], stdin: bytes) -> bytes:
    try:
        return subprocess.run(["openssl", *arguments], input=stdin, capture_output=True, timeout=30, check=False).stdout
    except FileNotFoundError:
        raise Unusable("cannot be looked at without the host's openssl") from None
    except subprocess.TimeoutExpired:
        raise Unusable("keeps openssl busy for more than 30 seconds") from None
