# Requirements: ACC-05, FS-05
SUMMARY = "Lets the service user restart the charger, and nothing more"
DESCRIPTION = "EVerest calls /sbin/reboot as the service user, after an update and for an OCPP hard reset, which logind refuses without polkit. \
Here that path writes to a pipe which belongs to the user, and systemd reboots: no daemon, no setuid program, no rule language."
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

SRC_URI = "file://everest-reboot \
           file://everest-reboot.service \
           file://everest-reboot.socket \
           file://everest-reboot.8"

inherit systemd update-alternatives

S = "${WORKDIR}"

# Nothing is compiled; not allarch, as what it depends on is built for one architecture.
INHIBIT_DEFAULT_DEPS = "1"

SYSTEMD_SERVICE:${PN} = "everest-reboot.socket"

ALTERNATIVE:${PN} = "reboot"
ALTERNATIVE_LINK_NAME[reboot] = "${base_sbindir}/reboot"
ALTERNATIVE_TARGET[reboot] = "${libexecdir}/everest-reboot"
# systemd's own has 300.
ALTERNATIVE_PRIORITY[reboot] = "400"

do_install() {
    install -D -m 0755 ${WORKDIR}/everest-reboot ${D}${libexecdir}/everest-reboot
    install -D -m 0644 ${WORKDIR}/everest-reboot.socket ${D}${systemd_system_unitdir}/everest-reboot.socket
    install -m 0644 ${WORKDIR}/everest-reboot.service ${D}${systemd_system_unitdir}/everest-reboot.service
    install -d ${D}${mandir}/man8
    install -m 0644 ${WORKDIR}/everest-reboot.8 ${D}${mandir}/man8/
}

FILES:${PN} += "${systemd_system_unitdir}/everest-reboot.service"

RDEPENDS:${PN} = "everest-user systemd"
