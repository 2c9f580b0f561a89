# Puts a tree of Debian packages below what an image installs.
#
# Purpose: all that is compiled comes with the tree; OE-Core's package manager then installs this project's packages on top.
#
# Usage: IMAGE_CLASSES += "prebuilt-image", as tcmode-prebuilt.inc does. Images that are no root file system set PREBUILT_TREE = "".

PREBUILT_TREE ?= "debian-root"
PREBUILT_TREE:pn-everest-secure-initramfs ?= "debian-initramfs"
PREBUILT_TREE[doc] = "Recipe that deploys the tree, or nothing."

do_rootfs[depends] += "${@'${PREBUILT_TREE}:do_deploy systemd-systemctl-native:do_populate_sysroot shadow-native:do_populate_sysroot' if d.getVar('PREBUILT_TREE') else ''}"
ROOTFS_PREPROCESS_COMMAND += "${@'prebuilt_unpack_tree' if d.getVar('PREBUILT_TREE') else ''}"

# The package manager must not find Debian's packages: OE-Core has no licence, source or package data of them. Their list lies where programs look
# for it in an image whose /var is another partition, and the checker reads it there (BIN-02, NET-06).
prebuilt_unpack_tree() {
    tar -C ${IMAGE_ROOTFS} --numeric-owner --xattrs --xattrs-include='*' --exclude='./dev/*' -xf ${DEPLOY_DIR_IMAGE}/${PREBUILT_TREE}.tar
    if [ -s ${IMAGE_ROOTFS}/var/lib/dpkg/status ]; then
        install -D -m 0644 ${IMAGE_ROOTFS}/var/lib/dpkg/status ${IMAGE_ROOTFS}${nonarch_libdir}/dpkg/status
    fi
    # KERN-01: where a kernel of this project has its configuration; /boot is no part of a slot.
    for config in ${IMAGE_ROOTFS}/boot/config-*; do
        if [ -e "$config" ]; then
            install -m 0644 "$config" "${IMAGE_ROOTFS}${nonarch_base_libdir}/modules/${config##*/config-}/config"
        fi
    done
    rm -rf ${IMAGE_ROOTFS}/var/lib/dpkg ${IMAGE_ROOTFS}${sysconfdir}/apt
    install -d ${IMAGE_ROOTFS}/var/lib/dpkg/info ${IMAGE_ROOTFS}/var/lib/dpkg/updates ${IMAGE_ROOTFS}/var/lib/dpkg/alternatives
    touch ${IMAGE_ROOTFS}/var/lib/dpkg/status ${IMAGE_ROOTFS}/var/lib/dpkg/available
    install -d ${APTCONF_TARGET}/apt/cache/archives/partial ${APTCONF_TARGET}/apt/state ${APTCONF_TARGET}/apt/log
    ln -sf ${STAGING_BINDIR_NATIVE}/dpkg ${APTCONF_TARGET}/apt/dpkg
}
prebuilt_unpack_tree[doc] = "Unpacks PREBUILT_TREE into IMAGE_ROOTFS"

ROOTFS_POSTPROCESS_COMMAND += "${@'prebuilt_mark' if d.getVar('PREBUILT_TREE') else ''}"

# BIN-02: the production profile refuses an image with this mark.
python prebuilt_mark() {
    import json
    from pathlib import Path

    file = Path(d.getVar("IMAGE_ROOTFS") + d.getVar("nonarch_libdir")) / "everest-secure/stand-ins.json"
    marks = json.loads(file.read_text()) if file.exists() else {"stand_ins": []}
    marks["kind"] = "prebuilt"
    marks["statement"] = "This image is for trying and testing everest-secure. Its programs are Debian's, it holds no EVerest and charges no car."
    marks["stand_ins"].append({"path": "/usr/lib/dpkg/status", "stands_for": "the packages that OE-Core and other layers compile"})
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(marks, indent=2) + "\n")
}
prebuilt_mark[doc] = "Says in the image that it is prebuilt"

# Nothing is left to be done at first boot: maintainer scripts run at build time or fail.
ROOTFS_BOOTSTRAP_INSTALL = ""

# Debian's locales are as they shall be.
IMAGE_LOCALES_ARCHIVE = "0"

# There is no toolchain to make an SDK of.
python () {
    # apt knows no such list; the tree has what it has.
    d.setVar("BAD_RECOMMENDATIONS", "")
    for task in ("do_populate_sdk", "do_populate_sdk_ext", "do_sdk_depends"):
        bb.build.deltask(task, d)
}
