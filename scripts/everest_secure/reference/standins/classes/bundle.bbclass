# Stand-in for meta-rauc's bundle.bbclass: the variables of the manifest, which the harness reads; bundling itself is not done by BitBake here.
inherit nopackages
RAUC_IMAGE_FSTYPE ??= "${@(d.getVar('IMAGE_FSTYPES') or '').split()[0]}"
RAUC_BUNDLE_COMPATIBLE ??= "${MACHINE}-${TARGET_VENDOR}"
RAUC_BUNDLE_VERSION ??= "${PV}"
RAUC_BUNDLE_DESCRIPTION ??= "${SUMMARY}"
RAUC_BUNDLE_FORMAT ??= ""
RAUC_KEY_FILE ??= ""
RAUC_CERT_FILE ??= ""
RAUC_KEYRING_FILE ??= ""
BUNDLE_ARGS ??= ""

do_bundle() {
    :
}
addtask bundle after do_configure
