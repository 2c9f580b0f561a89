# Stand-in for meta-rauc's bundle.bbclass: the variables of the manifest, which the harness reads, and the task that packs and signs what lies in BUNDLE_DIR.
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

B = "${WORKDIR}/build"
BUNDLE_DIR = "${WORKDIR}/bundle"

do_bundle() {
    ${STAGING_BINDIR_NATIVE}/rauc bundle --debug --cert="${RAUC_CERT_FILE}" --key="${RAUC_KEY_FILE}" ${BUNDLE_ARGS} ${BUNDLE_DIR} ${B}/bundle.raucb
}
do_bundle[cleandirs] = "${B}"
do_bundle[file-checksums] = "${RAUC_CERT_FILE}:False ${RAUC_KEY_FILE}:False"
addtask bundle after do_configure
