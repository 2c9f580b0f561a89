SUMMARY = "Stand-in for EVerest's manager and modules, for reference images only"
DESCRIPTION = "Reads the configuration that EVerest reads, connects to the broker, and starts one process per module with the user and the \
capabilities that the configuration lists. It charges no car. The image that holds it says so in stand-ins.json, and the production profile refuses it."
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = ""

SRC_URI = "file://manager.py file://everest.service file://stand-ins.json file://default_logging.cfg \
           file://everest-reference-report file://everest-reference-report.service \
           file://everest-reference-steps file://everest-reference-steps.service file://everest-reference-mcu"

inherit systemd allarch

RDEPENDS:${PN} = "everest-audit"

SYSTEMD_SERVICE:${PN} = "everest.service"

# PACKAGECONFIG as the real recipe has it, so that what the layer decides about it is decided here too (NET-03).
PACKAGECONFIG ??= "applications python tpm2"
PACKAGECONFIG[admin-panel] = ",,"
PACKAGECONFIG[applications] = ",,"
PACKAGECONFIG[python] = ",,"
PACKAGECONFIG[tpm2] = ",,"

# No code of EVerest is here that could be changed; manager.py hands out what the changed one does (ACC-04) and stands for every module.
EVEREST_SUBSTITUTIONS = ""
EVEREST_OWN_MODULES = "${EVEREST_MODULES}"

do_install() {
    install -D -m 0755 ${WORKDIR}/manager.py ${D}${bindir}/manager
    install -D -m 0644 ${WORKDIR}/everest.service ${D}${systemd_system_unitdir}/everest.service
    install -D -m 0644 ${WORKDIR}/stand-ins.json ${D}${nonarch_libdir}/everest-secure/stand-ins.json
    install -D -m 0644 ${WORKDIR}/default_logging.cfg ${D}${sysconfdir}/everest/default_logging.cfg
    install -d ${D}${libexecdir} ${D}${systemd_system_unitdir}/multi-user.target.wants
    for name in everest-reference-report everest-reference-steps; do
        install -m 0755 ${WORKDIR}/$name ${D}${libexecdir}/$name
        install -m 0644 ${WORKDIR}/$name.service ${D}${systemd_system_unitdir}/$name.service
        ln -s ../$name.service ${D}${systemd_system_unitdir}/multi-user.target.wants/
    done
    install -m 0755 ${WORKDIR}/everest-reference-mcu ${D}${libexecdir}/everest-reference-mcu
    install -d ${D}${datadir}/everest/www ${D}${sysconfdir}/everest/certs
}

FILES:${PN} += "${datadir}/everest ${nonarch_libdir}/everest-secure ${systemd_system_unitdir} ${libexecdir}"
