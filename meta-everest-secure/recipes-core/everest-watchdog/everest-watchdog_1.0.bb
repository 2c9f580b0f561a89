# Requirements: BOOT-05, NET-07
SUMMARY = "A charger that hangs, crashes or fails to boot starts again by itself"
DESCRIPTION = "The hardware watchdog, a limit for the time that a boot may take, and emergency and rescue targets that restart instead of \
offering a shell, so that the boot loader can fall back to the other slot."
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

SRC_URI = "file://50-everest-boot-limit.conf \
           file://50-everest-watchdog.conf \
           file://emergency.target \
           file://everest-failed-boot.service"

inherit everest-secure-template

EVEREST_TEMPLATES = "50-everest-boot-limit.conf 50-everest-watchdog.conf everest-failed-boot.service"
EVEREST_TEMPLATE_NUMBERS = "${EVEREST_TEMPLATE_VARIABLES}"
EVEREST_TEMPLATE_VARIABLES = "EVEREST_BOOT_LIMIT_SECONDS EVEREST_FAILED_BOOT_SECONDS EVEREST_REBOOT_WATCHDOG_SECONDS EVEREST_WATCHDOG_SECONDS"

do_install() {
    install -D -m 0644 ${B}/50-everest-watchdog.conf ${D}${systemd_unitdir}/system.conf.d/50-everest-watchdog.conf
    install -D -m 0644 ${B}/50-everest-boot-limit.conf ${D}${systemd_system_unitdir}/basic.target.d/50-everest-boot-limit.conf
    install -m 0644 ${B}/everest-failed-boot.service ${D}${systemd_system_unitdir}/everest-failed-boot.service
    # In /etc, before systemd's own: what a unit requires, a drop-in cannot take back.
    install -D -m 0644 ${WORKDIR}/emergency.target ${D}${sysconfdir}/systemd/system/emergency.target
    install -m 0644 ${WORKDIR}/emergency.target ${D}${sysconfdir}/systemd/system/rescue.target
}

FILES:${PN} += "${systemd_unitdir}/system.conf.d ${systemd_system_unitdir}"

RDEPENDS:${PN} = "systemd"
