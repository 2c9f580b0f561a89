"""Keys of which a build may use no copy: in PKCS#11 tokens, and those that devices trust.

A key in a token is named by a URI (RFC 7512), which holds nothing secret: its `pin-source` names a file, and the PKCS#11 engine reads that. A PIN in the
environment of BitBake would be a variable and get into `bitbake -e` and testdata.json.
"""

from __future__ import annotations

import re
import stat
from pathlib import Path
from urllib.parse import unquote

from everest_policy.facts import Data, is_on, tagged, words
from everest_policy.material import Unusable, is_token, is_trusted

SECRETS = ("RAUC_PKCS11_PIN", "RAUC_KEY_PASSPHRASE")
"""What rauc(1) takes from the environment."""
MAX_PIN = 255
"""Bytes; what libp11 has room for."""


def pins(d: Data) -> str:
    """RAUC-03: no secret is a variable, and the token of each key in EVEREST_POLICY_KEYS finds its PIN in a file that is its owner's alone."""
    for name in SECRETS:
        if d.getVar(name):
            return (
                f"RAUC-03: {name} is a variable of the build and gets into `bitbake -e` that way; unset it and name a file with pin-source="
            )
    for pair in words(d, "EVEREST_POLICY_KEYS"):
        knob = pair.partition(":")[0]
        if is_token(d, knob):
            fault = _pin_fault(d.getVar(knob) or "")
            if fault:
                return tagged(d, knob, f"{knob} {fault}")
    return ""


def release(d: Data) -> str:
    """RAUC-02: the key that devices in the field trust is no file on the build host."""
    if not is_on(d, "EVEREST_PRODUCTION"):
        return ""
    if not is_on(d, "EVEREST_BUNDLE_RESIGN"):
        if is_token(d, "EVEREST_BUNDLE_KEY"):
            return ""
        return (
            "RAUC-02: EVEREST_BUNDLE_KEY is a file, which every task of the build can copy, and signs for the field; set EVEREST_BUNDLE_RESIGN to 1 "
            "with a signer of the build and sign again on the release host, or name a key in a token (pkcs11:)"
        )
    try:
        trusted = is_trusted(d, "EVEREST_BUNDLE_CERT", "EVEREST_BUNDLE_INTERMEDIATE", "EVEREST_BUNDLE_DEVICE_KEYRING")
    except Unusable as problem:
        return f"RAUC-02: EVEREST_BUNDLE_CERT or EVEREST_BUNDLE_DEVICE_KEYRING {problem}; name PEM files with certificates"
    if trusted and not is_token(d, "EVEREST_BUNDLE_KEY"):
        return "RAUC-02: EVEREST_BUNDLE_CERT is one that devices trust though EVEREST_BUNDLE_RESIGN is 1, and its key a file; name a signer of the build"
    return ""


def _pin_fault(uri: str) -> str:
    """Return what is wrong with where a token's PIN lies; nothing when the URI names no place, as a module may want no PIN."""
    query = dict(attribute.partition("=")[::2] for attribute in uri.partition("?")[2].split("&"))
    if "pin-value" in uri:
        return "holds the token's PIN, which gets into logs that way; name a file with pin-source= instead"
    source = re.sub("^file:(//(?=/))?", "", unquote(query.get("pin-source", "")))
    if not source:
        return ""
    try:
        with Path(source).open("rb") as file:
            mode, pin = stat.S_IMODE(Path(source).stat().st_mode), file.read(MAX_PIN + 1)
    except OSError:
        return f"has its PIN in '{source}', which cannot be read by whoever builds; name a file with pin-source="
    if mode & 0o077:
        return f"has its PIN in '{source}', which others may read or change; make it mode 0600"
    if not pin or len(pin) > MAX_PIN or pin.strip() != pin:
        return (
            f"has its PIN in '{source}', which holds none, more than {MAX_PIN} bytes, or a space or new line at an end that would count as a "
            f"wrong PIN; write it anew with printf '%s'"
        )
    return ""
