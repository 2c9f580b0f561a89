# A look at the keyring before it goes into an image.
#
# Purpose: a device trusts whatever its keyring holds. A production image never trusts an authority of development and the other way round
# (RAUC-02), no key slips in beside the certificates (FS-06), and revocation lists are there if, and only if, RAUC checks them (RAUC-09).
#
# Usage:
#   inherit everest-secure-keyring
#   EVEREST_KEYRING = "${EVEREST_RAUC_KEYRING}"
#   EVEREST_KEYRING_KNOB = "EVEREST_RAUC_KEYRING"
#   EVEREST_KEYRING_DEVELOPMENT = "0"
#
# Our development authorities carry a mark in their name (docs/pki.md). It is looked for in the certificate's encoded bytes, so that
# the build needs neither a library nor the host's openssl.

EVEREST_KEYRING ??= ""
EVEREST_KEYRING[doc] = "Absolute path of the PEM file that becomes the keyring: trust anchors, and revocation lists if there are any."
EVEREST_KEYRING_KNOB ??= "EVEREST_KEYRING"
EVEREST_KEYRING_KNOB[doc] = "Name of the knob that says so, for messages."
EVEREST_KEYRING_DEVELOPMENT ??= "0"
EVEREST_KEYRING_DEVELOPMENT[doc] = "1 when all authorities in it must be marked as development, 0 when none may be."

def everest_secure_pem(text, label):
    """Contents of the PEM blocks of a kind, decoded."""
    import base64
    import re

    blocks = re.findall("-----BEGIN %s-----\n(.*?)-----END %s-----" % (label, label), text.replace("\r", ""), re.DOTALL)
    return [base64.b64decode(block, validate=False) for block in blocks]

def everest_secure_keyring_fault(d):
    """What is wrong with EVEREST_KEYRING as one sentence, or nothing."""
    knob, path = d.getVar("EVEREST_KEYRING_KNOB"), d.getVar("EVEREST_KEYRING")
    try:
        with open(path, encoding="ascii") as file:
            text = file.read(1 << 20)
    except (OSError, ValueError):
        return "RAUC-02: %s '%s' is no readable PEM file; set it to the one with the device's trust anchors" % (knob, path)
    if "PRIVATE KEY-----" in text:
        return "RAUC-02: %s '%s' holds a private key; give the certificates alone" % (knob, path)
    try:
        certificates, lists = everest_secure_pem(text, "CERTIFICATE"), everest_secure_pem(text, "X509 CRL")
    except ValueError:
        return "RAUC-02: %s '%s' is no PEM file; write it anew" % (knob, path)
    if len(certificates) + len(lists) != text.count("-----BEGIN"):
        return ("RAUC-02: %s '%s' holds a block that is neither a plain CERTIFICATE nor an X509 CRL, though RAUC may trust it; convert it by "
                "`openssl x509`" % (knob, path))
    if not certificates:
        return "RAUC-02: %s '%s' holds no certificate; put the update authority's root into it" % (knob, path)
    mark = everest_policy.material.MARK.encode()
    marked = [mark in certificate for certificate in certificates]
    if d.getVar("EVEREST_KEYRING_DEVELOPMENT") == "0" and any(marked):
        return "RAUC-02: %s '%s' holds an authority of development; give the release keyring or build the development image" % (knob, path)
    if d.getVar("EVEREST_KEYRING_DEVELOPMENT") == "1" and not all(marked):
        return "RAUC-02: %s '%s' holds an authority that is not marked as development; make one with `everest-secure pki init`" % (knob, path)
    if d.getVar("EVEREST_CHECK_CRL") == "1" and not lists:
        return "RAUC-09: %s '%s' holds no revocation list and EVEREST_CHECK_CRL is 1; add the lists or set it to 0" % (knob, path)
    if d.getVar("EVEREST_CHECK_CRL") != "1" and lists:
        return "RAUC-09: %s '%s' holds revocation lists that nobody looks at; set EVEREST_CHECK_CRL to 1" % (knob, path)
    return ""

python everest_secure_check_keyring() {
    fault = everest_secure_keyring_fault(d)
    if fault:
        bb.fatal(fault)
}
everest_secure_check_keyring[doc] = "Refuses a keyring that does not belong into this image"
everest_secure_check_keyring[vardeps] += "EVEREST_KEYRING_DEVELOPMENT EVEREST_CHECK_CRL"
