# Requirement: LOG-03
SUMMARY = "Security events of a charger are seen, kept and passed on"
DESCRIPTION = "A service that follows the journal, and a daily look at certificates. Each event is an entry of the journal with a MESSAGE_ID, a line of \
/var/log/everest-security/security.log, whose lines are chained by digests, and, where a module of EVerest is named, a security event for the CSMS."
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

SRC_URI = "file://count-security-events.awk \
           file://everest-security-monitor \
           file://everest-security-monitor.service \
           file://everest-security-monitor-daily.service \
           file://everest-security-monitor.timer \
           file://find-security-events.awk \
           file://security-event-ids.tsv \
           file://security-events.tsv"

inherit systemd everest-secure-template

EVEREST_TEMPLATES = "everest-security-monitor"
EVEREST_TEMPLATE_NUMBERS = "EVEREST_SECURITY_EXPIRY_DAYS"
EVEREST_TEMPLATE_VARIABLES = "EVEREST_SECURITY_EVENTS_MODULE EVEREST_SECURITY_EXPIRY_DAYS"

SYSTEMD_SERVICE:${PN} = "everest-security-monitor.service everest-security-monitor.timer"

do_install() {
    install -D -m 0755 ${B}/everest-security-monitor ${D}${libexecdir}/everest-secure/everest-security-monitor
    install -d ${D}${nonarch_libdir}/everest-secure
    install -m 0644 ${WORKDIR}/*.awk ${WORKDIR}/*.tsv ${D}${nonarch_libdir}/everest-secure/
    install -D -m 0644 ${WORKDIR}/everest-security-monitor.service ${D}${systemd_system_unitdir}/everest-security-monitor.service
    install -m 0644 ${WORKDIR}/everest-security-monitor-daily.service ${WORKDIR}/everest-security-monitor.timer ${D}${systemd_system_unitdir}/
}

FILES:${PN} += "${nonarch_libdir}/everest-secure ${systemd_system_unitdir}"

# mosquitto-clients where the module has a name at all.
RDEPENDS:${PN} = "everest-broker-conf everest-cert everest-state ${@bb.utils.contains('EVEREST_SECURITY_EVENTS_MODULE', '', 'mosquitto-clients', '', d)} systemd"
