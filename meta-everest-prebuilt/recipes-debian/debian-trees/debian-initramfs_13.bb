SUMMARY = "Initial RAM disk of Debian 13 packages, which leads to a verity root"

inherit deploy debian-tree

SRC_URI = "file://prepare-tree file://trim-initramfs"

DEBIAN_PACKAGES = "dmsetup e2fsprogs kmod libtss2-esys-3.0.2-0t64 libtss2-rc0t64 libtss2-tcti-device0t64 linux-image-cloud-amd64 systemd \
    systemd-cryptsetup systemd-repart udev"
DEBIAN_OPTIONS = "--essential-hook='copy-in ${WORKDIR}/prepare-tree ${WORKDIR}/trim-initramfs /tmp' \
    --essential-hook='sh $1/tmp/prepare-tree $1' --customize-hook='sh $1/tmp/trim-initramfs $1'"

do_deploy() {
    install -D -m 0644 ${DEBIAN_TREE} ${DEPLOYDIR}/debian-initramfs.tar
}
addtask deploy after do_debian_tree before do_build
