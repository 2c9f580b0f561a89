# Makes a unified kernel image for each slot: kernel, initramfs, os-release and command line in one EFI program, signed as a whole.
#
# Purpose: the boot chain of machines with UEFI (BOOT-01). The firmware starts the UKI itself: no boot loader, no menu, no editor (BOOT-02), and the
# command line with the root hash is what was signed (BOOT-03, FS-02).
#
# Usage: everest-secure-image inherits this class when EVEREST_BOOT_CHAIN is "uki". The UKIs lie in UKI_DIR, for the image type `efi`.
# The variables are those of the uki.bbclass that OE-Core has since 5.2.
#
# Keys are named by path. BitBake runs the task again when their content changes, and never reads them into a variable.

require conf/image-uefi.conf

inherit everest-secure-verity

EVEREST_BOOT_FSTYPE = "efi"

INITRAMFS_IMAGE ?= "everest-secure-initramfs"
INITRD_ARCHIVE ?= "${INITRAMFS_IMAGE}${IMAGE_MACHINE_SUFFIX}.cpio.zst"
INITRD_ARCHIVE[doc] = "The initramfs, a file in DEPLOY_DIR_IMAGE."
UKI_KERNEL_FILENAME ?= "${KERNEL_IMAGETYPE}"
UKI_KERNEL_FILENAME[doc] = "The kernel, a file in DEPLOY_DIR_IMAGE."
UKI_STUB ?= "linux${EFI_ARCH}.efi.stub"
UKI_STUB[doc] = "The EFI program that starts the kernel out of a UKI, a file in DEPLOY_DIR_IMAGE."
UKI_CMDLINE ?= "${EVEREST_COMMAND_LINE}"
UKI_CMDLINE[doc] = "Kernel command line, a template as EVEREST_COMMAND_LINE."
UKI_SB_KEY ?= "${EVEREST_SECURE_BOOT_KEY}"
UKI_SB_KEY[doc] = "Path of the private key that signs the UKIs; unused when EVEREST_SECURE_BOOT is 0."
UKI_SB_CERT ?= "${EVEREST_SECURE_BOOT_CERT}"
UKI_SB_CERT[doc] = "Path of the certificate of UKI_SB_KEY, which the firmware has in its db."
UKIFY_CMD ?= "ukify build"
UKIFY_CMD[doc] = "The program that puts a UKI together."
UKI_DIR = "${WORKDIR}/uki"
UKI_DIR[doc] = "Where the UKIs lie: everest-a.efi and everest-b.efi."

# ukify is a Python program and imports pefile.
EXTRANATIVEPATH += "python3-native"

python do_uki() {
    import os

    deploy = d.getVar("DEPLOY_DIR_IMAGE")
    directory = d.getVar("UKI_DIR")
    signed = bb.utils.to_boolean(d.getVar("EVEREST_SECURE_BOOT"))
    if not signed:
        bb.warn("%s boots without secure boot: EVEREST_SECURE_BOOT is 0 and its kernel images are not signed (BOOT-01)" % d.getVar("PN"))
    for slot in ("a", "b"):
        uki = os.path.join(directory, "everest-%s.efi" % slot)
        made = uki + ".unsigned" if signed else uki
        bb.process.run(d.getVar("UKIFY_CMD").split() + [
            "--linux", os.path.join(deploy, d.getVar("UKI_KERNEL_FILENAME")),
            "--initrd", os.path.join(deploy, d.getVar("INITRD_ARCHIVE")),
            "--stub", os.path.join(deploy, d.getVar("UKI_STUB")),
            "--os-release", "@" + d.getVar("IMAGE_ROOTFS") + d.getVar("nonarch_libdir") + "/os-release",
            "--cmdline", everest_secure_command_line(slot, d),
            "--output", made,
        ])
        if signed:
            everest_secure_sign_efi(made, uki, d)
            os.unlink(made)
}
do_uki[doc] = "Makes and signs a unified kernel image for each slot"
do_uki[dirs] = "${UKI_DIR}"
do_uki[cleandirs] = "${UKI_DIR}"
do_uki[vardeps] += "EVEREST_COMMAND_LINE EVEREST_SECURE_BOOT"
do_uki[depends] += "\
    ${INITRAMFS_IMAGE}:do_image_complete \
    python3-native:do_populate_sysroot \
    python3-pefile-native:do_populate_sysroot \
    systemd-boot-native:do_populate_sysroot \
    systemd-boot:do_deploy \
    virtual/kernel:do_deploy \
    ${@'osslsigncode-native:do_populate_sysroot' if bb.utils.to_boolean(d.getVar('EVEREST_SECURE_BOOT')) else ''} \
"
do_uki[file-checksums] += "${@everest_secure_key_checksums(d)}"
addtask uki after do_rootfs do_image_squashfs_zst do_image_erofs_lz4hc before do_image_efi

# The directory is written without pseudo and read with it.
PSEUDO_IGNORE_PATHS .= ",${UKI_DIR}"

def everest_secure_key_checksums(d):
    paths = [d.getVar(name) for name in ("UKI_SB_KEY", "UKI_SB_CERT")] if bb.utils.to_boolean(d.getVar("EVEREST_SECURE_BOOT")) else []
    return " ".join(path + ":True" for path in paths if path)

def everest_secure_sign_efi(program, signed, d):
    """Sign an EFI program with UKI_SB_KEY (BOOT-01)."""
    import os

    for name in ("UKI_SB_KEY", "UKI_SB_CERT"):
        if not os.access(d.getVar(name) or "", os.R_OK):
            bb.fatal("%s '%s' is no readable file; set EVEREST_SECURE_BOOT_KEY and EVEREST_SECURE_BOOT_CERT to the PEM files of the secure boot key, "
                     "or EVEREST_SECURE_BOOT to 0 to do without secure boot" % (name, d.getVar(name) or ""))
    bb.process.run(["osslsigncode", "sign", "-h", "sha256", "-time", d.getVar("REPRODUCIBLE_TIMESTAMP_ROOTFS"), "-key", d.getVar("UKI_SB_KEY"),
                    "-certs", d.getVar("UKI_SB_CERT"), "-in", program, "-out", signed])
