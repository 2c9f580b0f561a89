SUMMARY = "Kernel of Debian 13, from the tree of Debian packages"
LICENSE = "CLOSED"

inherit deploy

INHIBIT_DEFAULT_DEPS = "1"
PROVIDES += "virtual/kernel"
PACKAGE_ARCH = "${MACHINE_ARCH}"

# Modules are in the tree.
PACKAGES_DYNAMIC = "^kernel-module-.*"
ALLOW_EMPTY:${PN} = "1"
RPROVIDES:${PN} += "kernel kernel-image kernel-modules"

do_deploy() {
    tar -xf ${DEPLOY_DIR_IMAGE}/debian-root.tar -C ${B} --wildcards './boot/vmlinuz-*'
    install -D -m 0644 ${B}/boot/vmlinuz-* ${DEPLOYDIR}/${KERNEL_IMAGETYPE}
}
do_deploy[cleandirs] = "${B}"
do_deploy[depends] += "debian-root:do_deploy"
addtask deploy after do_install before do_build
