# An update bundle of a hardened charger.
#
# Purpose: one bundle with root and boot chain of an image that inherits everest-secure-image (RAUC-01, RAUC-03), refused by a device of another
# product or with a newer version (RAUC-05), with the firmware of the safety MCU where there is one (RAUC-07), and with what an auditor asks of
# it in its manifest. For product bundles as for this layer's own.
#
# Usage:
#   inherit everest-secure-bundle
#   EVEREST_BUNDLE_IMAGE = "my-image"
#
# The build signs with EVEREST_BUNDLE_KEY, a file or a pkcs11: URI, and verifies as the device will. With EVEREST_BUNDLE_RESIGN the signer is one that
# devices do not trust, and the release host signs again. A key that the field trusts is never a file here (docs/updates.md).

EVEREST_BUNDLE_IMAGE ??= "everest-secure-image"
EVEREST_BUNDLE_IMAGE[doc] = "Image recipe whose root and boot chain go into the bundle."
EVEREST_BUNDLE_DEVICE_KEYRING ??= "${@d.getVar('EVEREST_RAUC_KEYRING' if d.getVar('EVEREST_PRODUCTION') == '1' else 'EVEREST_RAUC_KEYRING_DEVELOPMENT')}"
EVEREST_BUNDLE_DEVICE_KEYRING[doc] = "Keyring of the devices that the bundle is for, by default that of the variant being built; it verifies the bundle unless EVEREST_BUNDLE_RESIGN is 1."
EVEREST_BUNDLE_BOOT_SLOT = "${@{'uki': 'efi', 'fit': 'fit'}[d.getVar('EVEREST_BOOT_CHAIN')]}"
EVEREST_BUNDLE_BOOT_SLOT[doc] = "Slot class, and image type, of the boot chain."

inherit bundle everest-secure-policy everest-secure-signing

# RAUC-02, RAUC-03: the signer is there, in date, of the authority that verifies, and in production none of the workshop's unless signed again
EVEREST_POLICY += "everest_policy.image.variant"
EVEREST_POLICY_AT_START += "everest_policy.material.certificates everest_policy.material.keys everest_policy.material.development"
EVEREST_POLICY_AT_START += "everest_policy.material.chains everest_policy.material.purposes everest_policy.token.pins everest_policy.token.release"
EVEREST_POLICY_CERTIFICATES += "EVEREST_BUNDLE_CERT EVEREST_BUNDLE_VERIFIER ${@'EVEREST_BUNDLE_INTERMEDIATE' if d.getVar('EVEREST_BUNDLE_INTERMEDIATE') else ''}"
EVEREST_POLICY_KEYS += "EVEREST_BUNDLE_KEY:EVEREST_BUNDLE_CERT"
EVEREST_POLICY_CHAINS += "EVEREST_BUNDLE_CERT:EVEREST_BUNDLE_INTERMEDIATE:EVEREST_BUNDLE_VERIFIER"
EVEREST_POLICY_RELEASE += "${@bb.utils.contains('EVEREST_BUNDLE_RESIGN', '1', '', 'EVEREST_BUNDLE_CERT', d)}"

RAUC_BUNDLE_COMPATIBLE = "${EVEREST_COMPATIBLE}"
RAUC_BUNDLE_VERSION = "${EVEREST_IMAGE_VERSION}"
# RAUC-01, RAUC-08
RAUC_BUNDLE_FORMAT = "${@bb.utils.contains('EVEREST_CRYPT_BUNDLE', '1', 'crypt', 'verity', d)}"

# Slots are written as they are: the root with its verity tree, and the boot chain signed for it.
RAUC_BUNDLE_SLOTS = "rootfs ${EVEREST_BUNDLE_BOOT_SLOT} ${@'mcu' if d.getVar('EVEREST_MCU_IMAGE') else ''}"
RAUC_SLOT_rootfs = "${EVEREST_BUNDLE_IMAGE}"
RAUC_SLOT_rootfs[fstype] = "${EVEREST_ROOT_FSTYPE}.verity"
RAUC_SLOT_rootfs[rename] = "rootfs.img"
RAUC_SLOT_efi = "${EVEREST_BUNDLE_IMAGE}"
RAUC_SLOT_efi[fstype] = "efi"
RAUC_SLOT_efi[rename] = "efi.img"
RAUC_SLOT_fit = "${EVEREST_BUNDLE_IMAGE}"
RAUC_SLOT_fit[fstype] = "fit"
RAUC_SLOT_fit[rename] = "fit.img"
# RAUC-07: written by the device's own handler
RAUC_SLOT_mcu = "${EVEREST_MCU_IMAGE_RECIPE}"
RAUC_SLOT_mcu[type] = "file"
RAUC_SLOT_mcu[file] = "${EVEREST_MCU_IMAGE}"
RAUC_SLOT_mcu[rename] = "mcu.img"
RAUC_SLOT_mcu[hooks] = "install"

# RAUC-05: with an install-check RAUC leaves the comparison of the product to the hook, which makes it. The device has the same program.
EVEREST_BUNDLE_HOOK = "${EVEREST_SECURE_LAYER}/recipes-core/everest-update-guard/files/everest-update-guard"
EVEREST_BUNDLE_HOOK[doc] = "The program in the bundle that RAUC asks on the device."
RAUC_BUNDLE_HOOKS[file] = "everest-update-guard"
RAUC_BUNDLE_HOOKS[hooks] = "install-check"

# The version once more: of the manifest a pre-install handler sees its meta sections alone. Policy and origin are for whoever holds the bundle.
RAUC_META_SECTIONS = "everest-secure"
RAUC_META_everest-secure[version] = "${RAUC_BUNDLE_VERSION}"
RAUC_META_everest-secure[image] = "${EVEREST_BUNDLE_IMAGE}"
RAUC_META_everest-secure[everest] = "${EVEREST_VERSION}"
RAUC_META_everest-secure[policy] = "${DISTRO_VERSION}"
do_configure[vardeps] += "RAUC_BUNDLE_VERSION RAUC_BUNDLE_COMPATIBLE RAUC_BUNDLE_FORMAT EVEREST_BUNDLE_IMAGE EVEREST_VERSION DISTRO_VERSION EVEREST_ADAPTIVE_UPDATES"
do_configure[prefuncs] += "everest_secure_bundle_hook everest_secure_bundle_origin"
do_configure[file-checksums] += "${EVEREST_BUNDLE_HOOK}:True"

# RAUC-03: chain in the bundle, signature verified as the device does. rauc writes no bundle whose signature its keyring does not verify.
RAUC_KEY_FILE = "${EVEREST_BUNDLE_KEY}"
RAUC_CERT_FILE = "${EVEREST_BUNDLE_CERT}"
EVEREST_SIGNING_KEY = "EVEREST_BUNDLE_KEY"
EVEREST_SIGNING_FILES = "EVEREST_BUNDLE_KEY EVEREST_BUNDLE_CERT EVEREST_BUNDLE_INTERMEDIATE EVEREST_BUNDLE_VERIFIER EVEREST_BUNDLE_RECIPIENTS"
EVEREST_BUNDLE_VERIFIER = "${@d.getVar('EVEREST_BUNDLE_KEYRING' if d.getVar('EVEREST_BUNDLE_RESIGN') == '1' else 'EVEREST_BUNDLE_DEVICE_KEYRING')}"
EVEREST_BUNDLE_VERIFIER[doc] = "Keyring that verifies the bundle as soon as it is made (RAUC-03)."
BUNDLE_ARGS = "${EVEREST_BUNDLE_CHAIN_ARGS} --conf=${EVEREST_BUNDLE_CONF} --signing-keyring=${EVEREST_BUNDLE_VERIFIER}"
# Of a file with several certificates rauc takes the first alone: each goes into a file of its own.
EVEREST_BUNDLE_CHAIN_ARGS = ""
EVEREST_BUNDLE_CHAIN_ARGS[doc] = "Options of rauc for the certificates of EVEREST_BUNDLE_INTERMEDIATE, set when do_bundle runs."
EVEREST_BUNDLE_CHAIN_DIR = "${WORKDIR}/intermediates"
EVEREST_BUNDLE_CHAIN_DIR[doc] = "Where these certificates lie, one in a file."
do_bundle[prefuncs] += "everest_secure_bundle_chain"
# The device's own [keyring] but for its path; a file, as rauc before 1.15 takes the purpose from nowhere else.
EVEREST_BUNDLE_CONF = "${WORKDIR}/verify-as-the-device.conf"
EVEREST_BUNDLE_CONF[doc] = "Configuration of rauc(1) that verifies the bundle as the device does."
do_bundle[prefuncs] += "everest_secure_bundle_conf"
BUNDLE_BASENAME = "${PN}${@'-to-be-signed-again' if d.getVar('EVEREST_BUNDLE_RESIGN') == '1' else ''}"

# RAUC-08
do_bundle[postfuncs] += "${@'everest_secure_bundle_encrypt' if d.getVar('RAUC_BUNDLE_FORMAT') == 'crypt' and d.getVar('EVEREST_BUNDLE_RECIPIENTS') else ''}"

python () {
    # RAUC-06: what a slot holds already is not written again
    if d.getVar("EVEREST_ADAPTIVE_UPDATES") == "1":
        for slot in ("rootfs", d.getVar("EVEREST_BUNDLE_BOOT_SLOT")):
            d.setVarFlag("RAUC_SLOT_%s" % slot, "adaptive", "block-hash-index")
    if d.getVar("RAUC_BUNDLE_FORMAT") not in ("verity", "crypt"):
        raise bb.parse.SkipRecipe("RAUC-01: RAUC_BUNDLE_FORMAT is '%s', whose payload is not under the signature block by block; leave it to "
                                  "everest-secure-bundle.bbclass" % d.getVar("RAUC_BUNDLE_FORMAT"))
    if d.getVar("EVEREST_BUNDLE_RESIGN") == "1" and not d.getVar("EVEREST_BUNDLE_KEYRING"):
        raise bb.parse.SkipRecipe("RAUC-03: EVEREST_BUNDLE_RESIGN is 1 and EVEREST_BUNDLE_KEYRING empty; set it to the keyring of the build's signer")
}

everest_secure_bundle_hook() {
    install -m 0755 ${EVEREST_BUNDLE_HOOK} ${WORKDIR}/everest-update-guard
}
everest_secure_bundle_hook[doc] = "Puts the hook where bundle.bbclass looks for it"

python everest_secure_bundle_origin() {
    import glob
    import hashlib

    import oe.buildcfg

    meta = "RAUC_META_everest-secure"
    d.setVarFlag(meta, "revision", oe.buildcfg.get_metadata_git_revision(d.getVar("EVEREST_SECURE_LAYER")))
    name = d.expand("${DEPLOY_DIR_IMAGE}/${EVEREST_BUNDLE_IMAGE}${IMAGE_MACHINE_SUFFIX}${IMAGE_NAME_SUFFIX}.spdx")
    bills = sorted(glob.glob(name + ".json") or glob.glob(name + ".tar.*"))
    if not bills:
        bb.fatal("SUP-01: %s.json is not there, nor the archive of SPDX 2.2; inherit create-spdx in the distro, as everest-secure does" % name)
    with open(bills[0], "rb") as file:
        d.setVarFlag(meta, "sbom-sha256", hashlib.sha256(file.read()).hexdigest())
}
everest_secure_bundle_origin[doc] = "Puts the layer's revision and the digest of the image's bill of materials into the manifest"

python everest_secure_bundle_chain() {
    files = everest_policy.material.split(d.getVar("EVEREST_BUNDLE_INTERMEDIATE"), d.getVar("EVEREST_BUNDLE_CHAIN_DIR"))
    d.setVar("EVEREST_BUNDLE_CHAIN_ARGS", " ".join("--intermediate=%s" % file for file in files))
}
everest_secure_bundle_chain[doc] = "Takes the authorities between signer and root out of their file"
everest_secure_bundle_chain[cleandirs] = "${EVEREST_BUNDLE_CHAIN_DIR}"

python everest_secure_bundle_conf() {
    revocation = "true" if d.getVar("EVEREST_CHECK_CRL") == "1" else "false"
    with open(d.getVar("EVEREST_BUNDLE_CONF"), "w") as file:
        file.write("[system]\ncompatible=%s\nbootloader=noop\nstatusfile=per-slot\n" % d.getVar("RAUC_BUNDLE_COMPATIBLE"))
        file.write("[keyring]\ncheck-purpose=codesign\ncheck-crl=%s\n" % revocation)
}
everest_secure_bundle_conf[doc] = "Writes down how the device verifies"

everest_secure_bundle_encrypt() {
    ${STAGING_BINDIR_NATIVE}/rauc encrypt --conf=${EVEREST_BUNDLE_CONF} --keyring=${EVEREST_BUNDLE_VERIFIER} \
        --to=${EVEREST_BUNDLE_RECIPIENTS} ${B}/bundle.raucb ${B}/bundle-encrypted.raucb
    mv ${B}/bundle-encrypted.raucb ${B}/bundle.raucb
}
everest_secure_bundle_encrypt[doc] = "Encrypts the bundle's key for the devices named by EVEREST_BUNDLE_RECIPIENTS"
