# Makes one FIT for both slots: kernel, initramfs and a device tree for each slot, in two configurations signed as a whole.
#
# Purpose: the boot chain of machines with U-Boot (BOOT-01). U-Boot starts `conf-a` or `conf-b`, whose signature covers kernel, initramfs and device tree; the
# command line with the root hash is /chosen/bootargs of that device tree (BOOT-03, FS-02). One bundle carries the FIT to either slot.
#
# Usage: everest-secure-image inherits this class when EVEREST_BOOT_CHAIN is "fit". The image type is `fit`.
#
# U-Boot must know the public key and insist on it: recipes-bsp/u-boot/everest-secure-u-boot.inc. mkimage finds keys by directory and name; the directory
# holds links to EVEREST_SECURE_BOOT_KEY, an RSA-4096 key, and to its certificate. A PSS signature is random, so that two builds differ in it.

# The algorithms that U-Boot is told too.
require conf/distro/include/everest-secure-u-boot.inc

inherit everest-secure-verity everest-secure-fit-key

EVEREST_BOOT_FSTYPE = "fit"

INITRAMFS_IMAGE ?= "everest-secure-initramfs"
INITRD_ARCHIVE ?= "${INITRAMFS_IMAGE}${IMAGE_MACHINE_SUFFIX}.cpio.zst"
INITRD_ARCHIVE[doc] = "The initramfs, a file in DEPLOY_DIR_IMAGE."
EVEREST_FIT_KERNEL ?= "${KERNEL_IMAGETYPE}"
EVEREST_FIT_KERNEL[doc] = "The kernel, an uncompressed file in DEPLOY_DIR_IMAGE."
EVEREST_FIT_ARCH ?= "arm64"
EVEREST_FIT_ARCH[doc] = "Architecture as mkimage names it."
EVEREST_FIT_MKIMAGE ?= "uboot-mkimage"
EVEREST_FIT_MKIMAGE[doc] = "The program that puts a FIT together and signs it."
FIT_DIR = "${WORKDIR}/fit"
FIT_DIR[doc] = "Where the FIT and its parts lie."

def everest_secure_fit_node(name, *properties):
    return ["%s {" % name, *properties, "};"]

def everest_secure_fit_data(name, file, *properties):
    return everest_secure_fit_node(name, 'data = /incbin/("%s");' % file, *properties, *everest_secure_fit_node("hash-1", 'algo = "sha256";'))

def everest_secure_fit_source(parts, slots, signed, d):
    """The FIT's source; parts maps what lies in it to files (BOOT-01)."""
    system = ('arch = "%s";' % d.getVar("EVEREST_FIT_ARCH"), 'os = "linux";')
    start = ("%s = <%s>;" % (name, d.getVar("EVEREST_FIT_KERNEL_ADDRESS")) for name in ("load", "entry"))
    plain = 'compression = "none";'
    images = everest_secure_fit_data("kernel", parts["kernel"], 'type = "kernel";', *system, 'compression = "gzip";', *start)
    images += everest_secure_fit_data("ramdisk", parts["ramdisk"], 'type = "ramdisk";', *system, plain)
    signature = ('algo = "%s,%s";' % (d.getVar("FIT_HASH_ALG"), d.getVar("FIT_SIGN_ALG")), 'padding = "%s";' % d.getVar("FIT_PAD_ALG"),
                 'key-name-hint = "%s";' % d.getVar("UBOOT_SIGN_KEYNAME"),
                 'sign-images = "kernel", "ramdisk", "fdt";')
    configurations = []
    for slot in slots:
        images += everest_secure_fit_data("fdt-" + slot, parts["fdt-" + slot], 'type = "flat_dt";', system[0], plain)
        content = ['kernel = "kernel";', 'ramdisk = "ramdisk";', 'fdt = "fdt-%s";' % slot]
        configurations += everest_secure_fit_node("conf-" + slot, *content, *(everest_secure_fit_node("signature-1", *signature) if signed else ()))
    named = 'description = "%s %s";' % (d.getVar("PN"), d.getVar("EVEREST_IMAGE_VERSION"))
    nodes = everest_secure_fit_node("images", *images) + everest_secure_fit_node("configurations", *configurations)
    return "\n".join(["/dts-v1/;", *everest_secure_fit_node("/", named, "#address-cells = <1>;", *nodes)]) + "\n"

def everest_secure_fit_require_length(fit, d):
    """mkimage signs with a key of any length, and U-Boot refuses what is not of the length that the algorithm names."""
    value, _ = bb.process.run(["fdtget", "-t", "bx", str(fit), "/configurations/conf-a/signature-1", "value"])
    made = "rsa%d" % (len(value.split()) * 8)
    if made != d.getVar("FIT_SIGN_ALG"):
        bb.fatal("BOOT-01: EVEREST_SECURE_BOOT_KEY '%s' is a key for %s and U-Boot expects %s; give a key of that length" %
                 (d.getVar("EVEREST_SECURE_BOOT_KEY"), made, d.getVar("FIT_SIGN_ALG")))

python do_fit() {
    import gzip
    import os
    import shutil
    from pathlib import Path

    deploy, directory = Path(d.getVar("DEPLOY_DIR_IMAGE")), Path(d.getVar("FIT_DIR"))
    signed = bb.utils.to_boolean(d.getVar("EVEREST_SECURE_BOOT"))
    if not signed:
        bb.warn("%s boots without secure boot: EVEREST_SECURE_BOOT is 0 and its FIT is not signed (BOOT-01)" % d.getVar("PN"))

    parts = {"kernel": directory / "kernel.gz", "ramdisk": deploy / d.getVar("INITRD_ARCHIVE")}
    parts["kernel"].write_bytes(gzip.compress((deploy / d.getVar("EVEREST_FIT_KERNEL")).read_bytes(), mtime=0))
    for slot in ("a", "b"):
        tree = parts["fdt-" + slot] = directory / ("everest-%s.dtb" % slot)
        shutil.copyfile(deploy / d.getVar("EVEREST_FIT_DTB"), tree)
        bb.process.run(["fdtput", "-p", "-t", "s", str(tree), "/chosen", "bootargs", everest_secure_command_line(slot, d)])

    source = directory / "everest.its"
    source.write_text(everest_secure_fit_source(parts, ("a", "b"), signed, d))
    keys = ["-k", everest_secure_fit_keys(d)] if signed else []
    bb.process.run([d.getVar("EVEREST_FIT_MKIMAGE"), "-D", d.getVar("UBOOT_MKIMAGE_DTCOPTS"), "-f", str(source), *keys, "-r", str(directory / "everest.fit")],
                   env={**os.environ, "SOURCE_DATE_EPOCH": d.getVar("REPRODUCIBLE_TIMESTAMP_ROOTFS")})
    if signed:
        everest_secure_fit_require_length(directory / "everest.fit", d)
}
do_fit[doc] = "Makes and signs the FIT"
do_fit[dirs] = "${FIT_DIR}"
do_fit[cleandirs] = "${FIT_DIR}"
do_fit[vardeps] += "EVEREST_COMMAND_LINE EVEREST_SECURE_BOOT EVEREST_FIT_DTB EVEREST_FIT_KERNEL_ADDRESS FIT_HASH_ALG FIT_SIGN_ALG FIT_PAD_ALG"
do_fit[depends] += "\
    ${INITRAMFS_IMAGE}:do_image_complete \
    dtc-native:do_populate_sysroot \
    u-boot-tools-native:do_populate_sysroot \
    virtual/kernel:do_deploy \
"
do_fit[file-checksums] += "${@everest_secure_fit_key_checksums(d)}"
addtask fit after do_rootfs do_image_squashfs_zst do_image_erofs_lz4hc before do_image_fit

# The directory is written without pseudo and read with it.
PSEUDO_IGNORE_PATHS .= ",${FIT_DIR}"

IMAGE_CMD:fit() {
	cp ${FIT_DIR}/everest.fit ${IMGDEPLOYDIR}/${IMAGE_NAME}.fit
	# Whole blocks, of which RAUC makes its index.
	truncate --size=%4096 ${IMGDEPLOYDIR}/${IMAGE_NAME}.fit
	everest_secure_require_fit ${IMGDEPLOYDIR}/${IMAGE_NAME}.fit ${EVEREST_FIT_SIZE} EVEREST_FIT_SIZE
}

# What the disk has in front of the slots: the board's firmware with U-Boot in it, in a file that the disk's description includes.
do_image_wic[depends] += "${EVEREST_FIRMWARE_DEPENDS}"
do_image_wic[file-checksums] += "${@bb.utils.which(d.getVar('WKS_SEARCH_PATH'), d.getVar('EVEREST_FIRMWARE_WKS'))}:True"
WICVARS:append = " IMX_BOOT_SEEK"
