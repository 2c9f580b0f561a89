SUMMARY = "Programs that make images, from Debian 13 on every machine alike"
DESCRIPTION = "Each is started by the tree's own dynamic loader, so that it finds the tree's libraries, needs no privileges, and runs under pseudo."

PROVIDES += "cpio-native cryptsetup-native dosfstools-native e2fsprogs-native erofs-utils-native gptfdisk-native kmod-native mtools-native \
    openssl-native osslsigncode-native parted-native python3-pefile-native rauc-native sbsigntool-native shadow-native squashfs-tools-native systemd-boot-native util-linux-native zstd-native"

SRC_URI = "file://debian-tool \
           file://rauc.conf"

inherit debian-tree
inherit_defer native

DEBIAN_VARIANT = "extract"
DEBIAN_PACKAGES = "apt-utils cpio cryptsetup-bin dosfstools e2fsprogs erofs-utils fdisk gdisk kmod mtools openssl osslsigncode parted passwd python3-minimal \
    python3-pefile rauc sbsigntool squashfs-tools systemd-boot-efi systemd-ukify zstd"
# nooelint: oelint.vars.pathhardcode.datadir,oelint.vars.pathhardcode.libdir - Debian's paths
DEBIAN_LEFT_OUT += "/usr/share/bash-completion/* /usr/share/perl5/* /usr/share/zoneinfo/* /usr/share/zsh/* /usr/lib/systemd/system/*"

TOOLS = "apt-ftparchive cpio cryptsetup debugfs depmod dumpe2fs e2fsck fsck.vfat groupadd groupmod mattrib mcopy mdel mdir mformat \
    mke2fs mkdosfs mkfs.erofs mkfs.ext4 mkfs.fat mkfs.vfat mksquashfs mlabel mmd mmove modinfo mren mtype openssl osslsigncode parted rauc resize2fs sbattach sbsign \
    sbverify sfdisk sgdisk tune2fs ukify unsquashfs useradd usermod veritysetup zstd"

TREE = "${datadir}/debian-tools"

do_install() {
    install -d ${D}${TREE} ${D}${bindir}
    install -m 0644 ${WORKDIR}/rauc.conf ${D}${TREE}/rauc.conf
    tar -C ${D}${TREE} --no-same-owner -xf ${DEBIAN_TREE} ./usr
    for tool in ${TOOLS}; do
        for directory in bin sbin; do
            if [ -e ${D}${TREE}/usr/$directory/$tool ]; then
                sed -e "s|@DIRECTORY@|$directory|" ${WORKDIR}/debian-tool > ${D}${bindir}/$tool
            fi
        done
        [ -e ${D}${bindir}/$tool ] || bbfatal "Debian's packages have no program '$tool'; correct TOOLS or DEBIAN_PACKAGES"
        chmod 0755 ${D}${bindir}/$tool
    done
}

INHIBIT_SYSROOT_STRIP = "1"
