# Requirements: CERT-08, CERT-02, CERT-06
SUMMARY = "Certificates of a charger: listed, checked, installed, revoked"
DESCRIPTION = "everest-cert installs root authorities and chains into EVerest's certificate store and revokes what is there, with checks before and after; \
it judges by the rules of the checker, and says which certificates end soon."
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

SRC_URI = "file://certificates.sh \
           file://change-certificates.sh \
           file://check-certificates.sh \
           file://everest-cert \
           file://everest-cert.8 \
           file://judge-certificates.awk \
           file://read-certificates.awk \
           file://show-certificates.awk \
           file://split-certificates.awk"

inherit everest-secure-template

EVEREST_TEMPLATES = "everest-cert"
EVEREST_TEMPLATE_NUMBERS = "EVEREST_CERT_STORE_ENTRIES EVEREST_CERT_STORE_MIB EVEREST_SECURITY_EXPIRY_DAYS"
EVEREST_TEMPLATE_VARIABLES = "EVEREST_CERT_STORE_ENTRIES EVEREST_CERT_STORE_MIB EVEREST_PRODUCTION EVEREST_SECURITY_EXPIRY_DAYS"

do_install() {
    install -D -m 0755 ${B}/everest-cert ${D}${sbindir}/everest-cert
    install -D -m 0644 ${WORKDIR}/everest-cert.8 ${D}${mandir}/man8/everest-cert.8
    install -d ${D}${nonarch_libdir}/everest-secure
    install -m 0644 ${WORKDIR}/*.awk ${WORKDIR}/*.sh ${D}${nonarch_libdir}/everest-secure/
}

FILES:${PN} += "${nonarch_libdir}/everest-secure"

# everest-tpm has certificate-store.sh, and says whether a key lies in the TPM; setpriv makes root the service user.
RDEPENDS:${PN} = "everest-config everest-state everest-tpm everest-user openssl-bin systemd util-linux-setpriv"
