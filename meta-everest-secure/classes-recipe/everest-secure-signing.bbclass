# Makes a signing task run again when a key or certificate changes at the same path, and lets it use a key in a PKCS#11 token.
#
# Purpose: meta-rauc's bundle.bbclass never notices a changed key (RAUC-03): it asks BitBake for checksums of files that it declares not to exist, and
# of a pkcs11: URI that makes two warnings. Here a digest of each file goes into the task's signature; the content itself does not, so that no key
# gets into a log or a signature file. For a key in a token, which nobody can read, its certificate stands.
#
# Usage:
#   inherit bundle everest-secure-signing
#   EVEREST_SIGNING_FILES = "EVEREST_BUNDLE_KEY EVEREST_BUNDLE_CERT"
#   EVEREST_SIGNING_KEY = "EVEREST_BUNDLE_KEY"
#
# A PIN never gets near BitBake: the URI's pin-source= names a file, which the engine inside rauc reads (docs/updates.md).

EVEREST_SIGNING_FILES ??= ""
EVEREST_SIGNING_FILES[doc] = "Variables that name files which decide a signature."
EVEREST_SIGNING_KEY ??= ""
EVEREST_SIGNING_KEY[doc] = "The one of them that names the key, a file or a pkcs11: URI."
EVEREST_SIGNING_DIGEST = ""
EVEREST_SIGNING_DIGEST[doc] = "SHA-256 over these files."

def everest_secure_digest(d):
    import hashlib
    import os

    digest = hashlib.sha256()
    for name in d.getVar("EVEREST_SIGNING_FILES").split():
        path = d.getVar(name)
        if not path or path.startswith("pkcs11:"):
            continue
        bb.parse.mark_dependency(d, path)
        if os.path.isfile(path):
            with open(path, "rb") as file:
                digest.update(hashlib.sha256(file.read()).digest())
    return digest.hexdigest()

do_bundle[vardeps] += "EVEREST_SIGNING_DIGEST"

python () {
    # Set, as of an expression BitBake takes the text into the signature and not what it gives
    d.setVar("EVEREST_SIGNING_DIGEST", everest_secure_digest(d))
    d.setVarFlag("do_bundle", "file-checksums", "")
    if not (d.getVar(d.getVar("EVEREST_SIGNING_KEY")) or "").startswith("pkcs11:"):
        return
    d.appendVar("DEPENDS", " libp11-native")
    exported = dict(pair.partition("=")[::2] for pair in d.getVar("EVEREST_PKCS11_ENVIRONMENT").split())
    # The native openssl looks for engines in a directory of the machine that built it
    exported["OPENSSL_ENGINES"] = d.getVar("EVEREST_PKCS11_ENGINES")
    if d.getVar("EVEREST_PKCS11_MODULE"):
        exported["RAUC_PKCS11_MODULE"] = d.getVar("EVEREST_PKCS11_MODULE")
    for name, value in exported.items():
        d.setVar(name, value)
        d.setVarFlag(name, "export", "1")
}

EVEREST_PKCS11_ENGINES ??= "${STAGING_LIBDIR_NATIVE}/engines-3"
EVEREST_PKCS11_ENGINES[doc] = "Directory of OpenSSL's engine pkcs11, by default that of libp11-native."
