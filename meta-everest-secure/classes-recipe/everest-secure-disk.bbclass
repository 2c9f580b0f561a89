# Adds the image type `efi` and says what the disk `wic` consists of.
#
# Purpose: two EFI partitions and two root slots for A and B (labels in docs/architecture.md), each exactly what an update writes, so that factory and
# field have the same bytes. The data partition is made on the device.
#
# Usage: everest-secure-image inherits this class after the class of its boot chain, which sets EVEREST_BOOT_FSTYPE.
#
# `efi` is the file system of an EFI partition, the same for both slots because one bundle carries it: /EFI/Linux/everest-a.efi and everest-b.efi, which
# the firmware's boot entries A and B start, each from its own partition, and the fallback name, which is slot A's. A firmware without entries, at
# first boot or after it lost its variables, searches partitions in order and so starts slot A from efi-a. It gets to the fallback name of efi-b only when efi-a
# cannot be read; slot A then starts if both slots have the same version, and is refused by its root hash if not.

EVEREST_BOOT_FSTYPE[doc] = "Image type of the boot chain, which disk and bundle carry beside the root: efi or fit."
EVEREST_EFI_FALLBACK = "/EFI/BOOT/BOOT${@d.getVar('EFI_ARCH').upper()}.EFI"
EVEREST_EFI_FALLBACK[doc] = "What firmware starts that has no boot entries."

IMAGE_CMD:efi() {
    image=${IMGDEPLOYDIR}/${IMAGE_NAME}.efi
    export SOURCE_DATE_EPOCH=${REPRODUCIBLE_TIMESTAMP_ROOTFS} TZ=UTC
    rm -f "$image"
    mkfs.vfat --invariant -F 32 -n EFI -C "$image" "$(expr ${EVEREST_EFI_SIZE} \* 1024)"
    mmd -i "$image" ::/EFI ::/EFI/BOOT ::/EFI/Linux
    for slot in a b; do
        everest_secure_copy_efi "$image" ${UKI_DIR}/everest-$slot.efi /EFI/Linux/everest-$slot.efi
    done
    everest_secure_copy_efi "$image" ${UKI_DIR}/everest-a.efi ${EVEREST_EFI_FALLBACK}
}
IMAGE_CMD:efi[doc] = "Makes the file system of an EFI partition from the UKIs of both slots"
do_image_efi[depends] += "dosfstools-native:do_populate_sysroot mtools-native:do_populate_sysroot"

everest_secure_copy_efi() {
    touch --date=@${REPRODUCIBLE_TIMESTAMP_ROOTFS} "$2"
    mcopy -m -i "$1" "$2" "::$3" ||
        bbfatal "$3 does not fit in an EFI partition of ${EVEREST_EFI_SIZE} MiB; install less in the initramfs or raise EVEREST_EFI_SIZE"
}
everest_secure_copy_efi[doc] = "Copies PROGRAM into the file system IMAGE at PATH"

# nooelint: oelint.vars.specific - wic is an image type
IMAGE_TYPEDEP:wic = "${EVEREST_BOOT_FSTYPE} ${EVEREST_SLOT_FSTYPE}"
WKS_FILE = "everest-secure-${EVEREST_BOOT_CHAIN}.wks.in"
# Files are copied as they are: no boot loader is installed, no file system made.
WKS_FILE_DEPENDS = ""
