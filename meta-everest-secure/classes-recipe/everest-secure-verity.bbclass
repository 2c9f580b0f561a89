# Adds the image type conversion `verity`: a file system followed by its dm-verity superblock and hash tree, in one file.
#
# Purpose: a root of which every block is checked when it is read (FS-02), in the form of a whole slot, and the kernel command line that names
# its root hash (FS-01, BOOT-03). Whoever signs that line, a UKI or a FIT, takes it from everest_secure_command_line().
#
# Usage: everest-secure-image inherits this class; IMAGE_FSTYPES then may have "squashfs-zst.verity" and "erofs-lz4hc.verity".
#
# Two builds of the same root give the same file: salt and UUID are the SHA-256 of the data, cut to length. The salt need not be secret or random; it
# keeps hash trees of different images apart. Beside the image lies ${IMAGE_LINK_NAME}.verity.json with its root hash and hash offset.

EVEREST_SLOT_FSTYPE = "${EVEREST_ROOT_FSTYPE}.verity"
EVEREST_SLOT_FSTYPE[doc] = "Image type of a root slot, as the bundle carries it."
EVEREST_IMAGE_LEFT_OUT ??= "var/* boot/* usr/lib/modules/*/vmlinuz"
EVEREST_IMAGE_LEFT_OUT[doc] = "Paths of the root that its image leaves out: /var, where the data partition is mounted, and kernels, which are in the UKI or FIT."
EVEREST_IMAGE_LEFT_OUT_EXPRESSION = "${@everest_secure_expression(d.getVar('EVEREST_IMAGE_LEFT_OUT'))}"
EVEREST_IMAGE_LEFT_OUT_EXPRESSION[doc] = "EVEREST_IMAGE_LEFT_OUT as the one regular expression that mkfs.erofs takes."
EVEREST_SQUASHFS_LEVEL ??= "15"
EVEREST_SQUASHFS_LEVEL[doc] = "How hard zstd compresses the squashfs, a number from 1 to 22."

CONVERSIONTYPES:append = " verity"
CONVERSION_CMD:verity = "everest_secure_verity ${IMAGE_NAME}.${type}"
CONVERSION_DEPENDS_verity = "cryptsetup-native"

# OE-Core sets SOURCE_DATE_EPOCH for mksquashfs, so that the time of a build is not in the image.
EXTRA_IMAGECMD:squashfs-zst = "-no-progress -Xcompression-level ${EVEREST_SQUASHFS_LEVEL} -wildcards -e ${EVEREST_IMAGE_LEFT_OUT}"
# One time for all files, and one UUID for all images: an inode is the same, and in the same place, as long as its file is.
EXTRA_IMAGECMD:erofs-lz4hc = "--quiet -T${REPRODUCIBLE_TIMESTAMP_ROOTFS} -U${EVEREST_EROFS_UUID} --exclude-regex='${EVEREST_IMAGE_LEFT_OUT_EXPRESSION}'"
EVEREST_EROFS_UUID = "5a5b7e0b-3b5d-5d63-9b50-6f1d1d0b8a53"
EVEREST_EROFS_UUID[doc] = "UUID of every root in EROFS; nothing looks for one."

def everest_secure_expression(patterns):
    """Return patterns of paths, in which * and ? stop at a slash, as one regular expression."""
    import re

    return "^(%s)$" % "|".join(re.escape(pattern).replace(r"\*", "[^/]*").replace(r"\?", "[^/]") for pattern in patterns.split())

# FS-02
everest_secure_verity() {
    image=$1.verity
    cp "$1" "$image"
    truncate --size=%4096 "$image"
    offset=$(stat --format=%s "$image")
    digest=$(sha256sum < "$image" | cut -c 1-64)
    uuid=$(printf '%s' "$digest" | sed -E 's/^(.{8})(.{4})(.{4})(.{4})(.{12}).*$/\1-\2-\3-\4-\5/')
    veritysetup format "$image" "$image" --hash=sha256 --data-block-size=4096 --hash-block-size=4096 \
        --hash-offset="$offset" --data-blocks="$(expr "$offset" / 4096)" --salt="$digest" --uuid="$uuid" --root-hash-file="$image.roothash"
    printf '{"root_hash": "%s", "hash_offset": %s}\n' "$(cat "$image.roothash")" "$offset" > ${IMAGE_NAME}.verity.json
    rm "$image.roothash"
    ln -sf ${IMAGE_NAME}.verity.json ${IMAGE_LINK_NAME}.verity.json
    everest_secure_require_fit "$image" ${EVEREST_ROOTFS_SIZE} EVEREST_ROOTFS_SIZE
}
everest_secure_verity[doc] = "Appends a hash tree to an image in the current directory: FILE becomes FILE.verity"

# A slot that is too small would show in the field, when an update does not fit.
everest_secure_require_fit() {
    size=$(stat --format=%s "$1")
    if [ "$size" -gt "$(expr "$2" \* 1048576)" ]; then
        bbfatal "$1 takes $(expr "$size" / 1048576 + 1) MiB and its slot has $2 MiB; install less in the image or raise $3"
    fi
}
everest_secure_require_fit[doc] = "Stops when FILE is larger than MEBIBYTES of its slot, which VARIABLE sets"

def everest_secure_root(d):
    """Root hash and hash offset of the image that the conversion `verity` made."""
    import json
    import os

    with open(os.path.join(d.getVar("IMGDEPLOYDIR"), d.getVar("IMAGE_LINK_NAME") + ".verity.json")) as file:
        return json.load(file)

def everest_secure_command_line(slot, d):
    """EVEREST_COMMAND_LINE for slot "a" or "b" of this image."""
    root = everest_secure_root(d)
    values = {"@slot@": slot, "@SLOT@": slot.upper(), "@ROOT_HASH@": root["root_hash"], "@HASH_OFFSET@": str(root["hash_offset"])}
    words = d.getVar("EVEREST_COMMAND_LINE").split()
    if words.count("--") != 1 or words[-1] != "--":
        bb.fatal("BOOT-03: EVEREST_COMMAND_LINE does not end with its only '--', without which the initramfs starts nothing; add it at the end")
    line = " ".join(words)
    for name, value in values.items():
        line = line.replace(name, value)
    return line
