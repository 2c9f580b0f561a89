SUMMARY = "Says on the serial port what a running reference image proves of each requirement"
DESCRIPTION = "Tries what must not work and reads what must hold, once the service is up, and writes a line per fact. Does nothing unless the machine's \
firmware asks for it. Never in a product: the production profile refuses its unit (NET-06) and the mark of the image that holds it (BIN-02)."
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = ""

SRC_URI = "file://everest-audit.service file://everest_audit.py file://proof.py file://accounts.py file://storage.py file://network.py file://tpm.py file://updates.py file://figures.py"

inherit allarch

do_install() {
    install -d ${D}${libexecdir}/everest-audit ${D}${systemd_system_unitdir}/multi-user.target.wants
    for name in everest_audit proof accounts storage network tpm updates figures; do
        install -m 0644 ${WORKDIR}/$name.py ${D}${libexecdir}/everest-audit/$name.py
    done
    install -m 0644 ${WORKDIR}/everest-audit.service ${D}${systemd_system_unitdir}/everest-audit.service
    ln -s ../everest-audit.service ${D}${systemd_system_unitdir}/multi-user.target.wants/
}

FILES:${PN} += "${libexecdir} ${systemd_system_unitdir}"
