# Requirement: OCPP-01
SUMMARY = "Identity of the single charger in the OCPP configuration that all chargers share"
DESCRIPTION = "Before EVerest starts, the identity that provisioning wrote to /var/lib/everest-identity/charge-point-id takes the place of \
EVEREST_CHARGE_POINT_ID in a copy of /etc/everest/ocpp, which everest.service sees instead of the original. Without that file nothing is copied."
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

SRC_URI = "file://everest-identity file://everest-identity.service file://40-everest-identity.conf \
           file://everest-identity.8"

inherit everest-secure-template

EVEREST_TEMPLATES = "everest-identity"
EVEREST_TEMPLATE_VARIABLES = "EVEREST_CHARGE_POINT_ID"

do_install() {
    install -D -m 0755 ${B}/everest-identity ${D}${libexecdir}/everest-identity
    install -D -m 0644 ${WORKDIR}/everest-identity.service ${D}${systemd_system_unitdir}/everest-identity.service
    install -D -m 0644 ${WORKDIR}/40-everest-identity.conf ${D}${systemd_system_unitdir}/everest.service.d/40-everest-identity.conf
    install -d ${D}${mandir}/man8
    install -m 0644 ${WORKDIR}/everest-identity.8 ${D}${mandir}/man8/
}

FILES:${PN} += "${systemd_system_unitdir}"

RDEPENDS:${PN} = "everest-state"
