# Stand-in for meta-rauc's rauc-conf.bb: a configuration that must be replaced.
SUMMARY = "RAUC system configuration & verification keyring"
LICENSE = "MIT"
RAUC_KEYRING_FILE ??= "ca.cert.pem"
RAUC_KEYRING_URI ??= "file://${RAUC_KEYRING_FILE}"
RPROVIDES:${PN} += "virtual-rauc-conf"
SRC_URI = "file://system.conf ${RAUC_KEYRING_URI}"

do_install() {
    bbfatal "rauc-conf has no configuration of its own here; set the distro feature everest-secure"
}
