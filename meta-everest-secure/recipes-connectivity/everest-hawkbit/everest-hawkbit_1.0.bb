# Requirements: NET-09, RAUC-04, FS-03, LOG-03
SUMMARY = "hawkBit's updater with mutual TLS and a key in the TPM"
DESCRIPTION = "The server is trusted through one authority of the product's own, the device known by a certificate whose key cannot leave its TPM. \
Without key and certificate in /var/lib/rauc-hawkbit the updater does not start."
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

SRC_URI = "file://config.conf \
           file://openssl.cnf \
           file://everest-hawkbit-configure \
           file://50-everest-hawkbit.conf \
           file://everest-hawkbit.conf \
           file://everest-hawkbit.tmpfiles \
           file://everest-hawkbit.tsv \
           file://security-events.tsv \
           file://everest-hawkbit-configure.8"

inherit everest-secure-template

EVEREST_TEMPLATES = "config.conf 50-everest-hawkbit.conf"
EVEREST_TEMPLATE_VARIABLES = "EVEREST_COMPATIBLE EVEREST_HAWKBIT_SERVER EVEREST_HAWKBIT_TENANT EVEREST_HAWKBIT_RESTART_WORD \
                              EVEREST_HAWKBIT_CAPABILITIES EVEREST_HAWKBIT_SYSTEM_CALLS TARGET_NAME"

# The device fills it in.
TARGET_NAME = "@TARGET_NAME@"
EVEREST_HAWKBIT_RESTART_WORD = "${@bb.utils.contains('EVEREST_HAWKBIT_RESTART', '1', 'true', 'false', d)}"
EVEREST_HAWKBIT_CAPABILITIES = "${@bb.utils.contains('EVEREST_HAWKBIT_RESTART', '1', 'CAP_SYS_BOOT', '', d)}"
EVEREST_HAWKBIT_SYSTEM_CALLS = "${@bb.utils.contains('EVEREST_HAWKBIT_RESTART', '1', '@system-service reboot', '@system-service', d)}"

do_install() {
    case "${EVEREST_HAWKBIT_SERVER}" in
        ''|*/*|*[!A-Za-z0-9.:-]*) bbfatal "NET-09: EVEREST_HAWKBIT_SERVER '${EVEREST_HAWKBIT_SERVER}' is no host name; set it, for example to updates.example.com" ;;
    esac
    if [ ! -r "${EVEREST_HAWKBIT_CA}" ]; then
        bbfatal "NET-09: EVEREST_HAWKBIT_CA '${EVEREST_HAWKBIT_CA}' is no readable file; set it to the PEM file with the server's root certificate"
    fi
    install -D -m 0644 ${B}/config.conf ${D}${sysconfdir}/rauc-hawkbit-updater/config.conf
    install -m 0644 ${WORKDIR}/openssl.cnf ${D}${sysconfdir}/rauc-hawkbit-updater/openssl.cnf
    install -D -m 0644 ${EVEREST_HAWKBIT_CA} ${D}${sysconfdir}/rauc-hawkbit-updater/authorities/ca-certificates.crt
    install -D -m 0755 ${WORKDIR}/everest-hawkbit-configure ${D}${libexecdir}/everest-secure/everest-hawkbit-configure
    install -D -m 0644 ${B}/50-everest-hawkbit.conf ${D}${systemd_system_unitdir}/rauc-hawkbit-updater.service.d/50-everest-hawkbit.conf
    install -D -m 0644 ${WORKDIR}/everest-hawkbit.conf ${D}${sysconfdir}/dbus-1/system.d/everest-hawkbit.conf
    install -D -m 0644 ${WORKDIR}/everest-hawkbit.tmpfiles ${D}${nonarch_libdir}/tmpfiles.d/everest-hawkbit.conf
    install -D -m 0644 ${WORKDIR}/everest-hawkbit.tsv ${D}${datadir}/everest-secure/state.d/everest-hawkbit.tsv
    install -D -m 0644 ${WORKDIR}/security-events.tsv ${D}${nonarch_libdir}/everest-secure/security-events.d/everest-hawkbit.tsv
    install -d ${D}${mandir}/man8
    install -m 0644 ${WORKDIR}/everest-hawkbit-configure.8 ${D}${mandir}/man8/
}
do_install[file-checksums] += "${@'${EVEREST_HAWKBIT_CA}:True' if d.getVar('EVEREST_HAWKBIT_CA') else ''}"

FILES:${PN} += "${datadir}/everest-secure ${nonarch_libdir}/everest-secure ${systemd_system_unitdir} ${nonarch_libdir}/tmpfiles.d"

RDEPENDS:${PN} = "ca-certificates libtss2-tcti-device openssl-bin rauc-hawkbit-updater rauc-service tpm2-openssl"
