# Requirements: BOOT-03, BOOT-05, FS-02, FS-04, NET-06, NET-07, LOG-02
SUMMARY = "Units of the initial RAM disk: restart on failure, never a shell"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

SRC_URI = "file://10-everest-initramfs.preset \
           file://50-refused-root.conf \
           file://50-restart.conf \
           file://50-verified-root.conf \
           file://init \
           file://everest-machine-id \
           file://everest-machine-id.service \
           file://everest-machine-id.8"

inherit everest-secure-template

EVEREST_TEMPLATES = "50-restart.conf"
EVEREST_TEMPLATE_VARIABLES = "EVEREST_BOOT_LIMIT_SECONDS"

# NET-07: shells of an initrd; everest-watchdog brings the emergency and rescue targets that restart in their place.
EVEREST_INITRAMFS_MASKED = "debug-shell.service emergency.service rescue.service"
# NET-06: what opens no root. The system does what it wants of this itself; /sys with what is mounted below goes over to it.
EVEREST_INITRAMFS_MASKED += "dev-hugepages.mount dev-mqueue.mount kmod-static-nodes.service modprobe@configfs.service modprobe@fuse.service \
                             sys-fs-fuse-connections.mount sys-kernel-config.mount sys-kernel-debug.mount sys-kernel-tracing.mount \
                             systemd-sysctl.service systemd-sysext.socket systemd-tmpfiles-setup-dev-early.service \
                             systemd-tmpfiles-setup-dev.service systemd-tpm2-setup-early.service systemd-udev-load-credentials.service"

do_install() {
    # BOOT-03: in the place of systemd-initramfs
    install -D -m 0755 ${WORKDIR}/init ${D}/init

    install -D -m 0755 ${WORKDIR}/everest-machine-id ${D}${libexecdir}/everest-machine-id
    install -D -m 0644 ${WORKDIR}/everest-machine-id.service ${D}${systemd_system_unitdir}/everest-machine-id.service
    install -d ${D}${systemd_system_unitdir}/initrd.target.wants ${D}${sysconfdir}/systemd/system
    ln -s ../everest-machine-id.service ${D}${systemd_system_unitdir}/initrd.target.wants/everest-machine-id.service

    # NET-06
    install -D -m 0644 ${WORKDIR}/10-everest-initramfs.preset ${D}${systemd_unitdir}/system-preset/10-everest-initramfs.preset

    # FS-04
    install -D -m 0644 ${WORKDIR}/50-verified-root.conf ${D}${systemd_system_unitdir}/systemd-repart.service.d/50-verified-root.conf

    # FS-02: a root that is missing or refused ends in a restart, as a new slot then falls back to the old one.
    install -D -m 0644 ${B}/50-restart.conf ${D}${systemd_system_unitdir}/initrd.target.d/50-restart.conf
    install -D -m 0644 ${WORKDIR}/50-refused-root.conf ${D}${systemd_system_unitdir}/systemd-veritysetup@.service.d/50-refused-root.conf
    for unit in ${EVEREST_INITRAMFS_MASKED}; do
        ln -s /dev/null ${D}${sysconfdir}/systemd/system/$unit
    done
    install -d ${D}${mandir}/man8
    install -m 0644 ${WORKDIR}/everest-machine-id.8 ${D}${mandir}/man8/
}

FILES:${PN} += "/init ${systemd_system_unitdir} ${systemd_unitdir}/system-preset"

RDEPENDS:${PN} = "everest-watchdog"
