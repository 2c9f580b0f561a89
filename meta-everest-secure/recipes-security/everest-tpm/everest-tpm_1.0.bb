# Requirements: TPM-04, TPM-06
SUMMARY = "Keys of a charger in its TPM: made, requested for, checked"
DESCRIPTION = "everest-tpm makes the keys towards CSMS and vehicles in the TPM, prints signing requests, and checks that keys lie there; a unit does so at \
the first start. Never makes a key in software."
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

SRC_URI = "file://certificate-store.sh \
           file://everest-tpm \
           file://everest-tpm.8 \
           file://everest-tpm-provision.service"

inherit systemd

S = "${WORKDIR}"

# Nothing is compiled; not allarch, as what it depends on is built for one architecture.
INHIBIT_DEFAULT_DEPS = "1"

SYSTEMD_SERVICE:${PN} = "everest-tpm-provision.service"

do_install() {
    install -D -m 0755 ${WORKDIR}/everest-tpm ${D}${sbindir}/everest-tpm
    install -D -m 0644 ${WORKDIR}/certificate-store.sh ${D}${nonarch_libdir}/everest-secure/certificate-store.sh
    install -D -m 0644 ${WORKDIR}/everest-tpm.8 ${D}${mandir}/man8/everest-tpm.8
    install -D -m 0644 ${WORKDIR}/everest-tpm-provision.service ${D}${systemd_system_unitdir}/everest-tpm-provision.service
}

FILES:${PN} += "${nonarch_libdir}/everest-secure"

# setpriv makes root the service user, systemd-notify (in systemd) writes to the journal.
RDEPENDS:${PN} = "everest-config everest-state everest-user libtss2-tcti-device openssl-bin systemd tpm2-openssl tpm2-tools util-linux-setpriv"
