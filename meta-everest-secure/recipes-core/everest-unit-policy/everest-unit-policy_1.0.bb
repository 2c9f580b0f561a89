# Requirements: FS-02, NET-06, NET-07, RAUC-06
SUMMARY = "What systemd starts on a charger and what nobody can start"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

SRC_URI = "file://20-everest-secure.preset"

inherit allarch

S = "${WORKDIR}"

# NET-07: shells and logins, on whatever console the command line names.
EVEREST_MASKED_UNITS = "autovt@.service console-getty.service container-getty@.service debug-shell.service emergency.service \
                        getty-static.service getty@.service rescue.service serial-getty@.service"
# NET-07: what an attached keyboard or a stray command would reach.
EVEREST_MASKED_UNITS += "ctrl-alt-del.target hibernate.target hybrid-sleep.target kexec.target sleep.target suspend-then-hibernate.target suspend.target"
# NET-06: interactive first boot, home directories, crash dumps with secrets of a process, remote logins.
EVEREST_MASKED_UNITS += "ssh.service ssh.socket sshd.service sshd.socket sshd@.service systemd-coredump.socket systemd-firstboot.service \
                         systemd-homed.service usb-gadget.target"
# FS-02: what would lay trees from the data partition, which nobody verified, over the verified root.
EVEREST_MASKED_UNITS += "systemd-confext.service systemd-sysext.service systemd-sysext.socket"
# NET-06: the kernel's ways in for developers, programs of other formats, and file systems and devices that a charger has not.
EVEREST_MASKED_UNITS += "dev-hugepages.mount modprobe@configfs.service modprobe@drm.service modprobe@fuse.service proc-sys-fs-binfmt_misc.automount \
                         proc-sys-fs-binfmt_misc.mount sys-fs-fuse-connections.mount sys-kernel-config.mount sys-kernel-debug.mount \
                         sys-kernel-tracing.mount systemd-binfmt.service systemd-udev-load-credentials.service"
# Nothing waits for the network: a charger charges without it, and the broker is After=network-online.target.
EVEREST_MASKED_UNITS += "systemd-networkd-wait-online.service systemd-networkd-wait-online@.service"
# RAUC-06: everest-health-check decides whether a slot is good; a second owner would decide before it looked.
EVEREST_MASKED_UNITS += "rauc-mark-good.service"

do_install() {
    install -D -m 0644 ${WORKDIR}/20-everest-secure.preset ${D}${systemd_unitdir}/system-preset/20-everest-secure.preset
    install -d ${D}${sysconfdir}/systemd/system
    for unit in ${EVEREST_MASKED_UNITS}; do
        ln -s /dev/null ${D}${sysconfdir}/systemd/system/$unit
    done
}

FILES:${PN} += "${systemd_unitdir}/system-preset"
