# Makes a signing task run again when a key or certificate changes at the same path.
#
# Purpose: meta-rauc's bundle.bbclass never notices a changed key (RAUC-03). Here a digest of each file goes into the task's signature; the
# content itself does not, so that no key gets into a log or a signature file.
#
# Usage:
#   inherit bundle everest-secure-signing
#   EVEREST_SIGNING_FILES = "EVEREST_BUNDLE_KEY EVEREST_BUNDLE_CERT"

EVEREST_SIGNING_FILES ??= ""
EVEREST_SIGNING_FILES[doc] = "Variables that name files which decide a signature."
EVEREST_SIGNING_DIGEST = "${@everest_secure_digest(d)}"
EVEREST_SIGNING_DIGEST[doc] = "SHA-256 over these files."

def everest_secure_digest(d):
    import hashlib
    import os

    digest = hashlib.sha256()
    for name in d.getVar("EVEREST_SIGNING_FILES").split():
        path = d.getVar(name)
        if path:
            bb.parse.mark_dependency(d, path)
        if path and os.path.isfile(path):
            with open(path, "rb") as file:
                digest.update(hashlib.sha256(file.read()).digest())
    return digest.hexdigest()

do_bundle[vardeps] += "EVEREST_SIGNING_DIGEST"
