SUMMARY = "Root of Debian 13 packages, below what this project's recipes install"

inherit deploy debian-tree

require debian-packages.inc

SRC_URI = "file://prepare-tree"

# BIN-02: what a package manager, an init system and a shell of Debian bring along.
# nooelint: oelint.vars.pathhardcode.datadir - Debian's paths
DEBIAN_LEFT_OUT += "/etc/cron.*/* /etc/init.d/* /usr/share/bash-completion/* /usr/share/zsh/*"
# Interfaces are eth0 and eth1, as OE-Core's systemd leaves them without the distro feature pni-names.
# nooelint: oelint.vars.pathhardcode.libdir - as above
DEBIAN_LEFT_OUT += "/usr/lib/systemd/network/99-default.link"

# ACC-02: the ids of this distro and not those that Debian would give.
PASSWD_TABLE = "${@bb.utils.which(d.getVar('BBPATH'), d.getVar('USERADD_UID_TABLES'))}"
GROUP_TABLE = "${@bb.utils.which(d.getVar('BBPATH'), d.getVar('USERADD_GID_TABLES'))}"
DEBIAN_OPTIONS = "--essential-hook='copy-in ${WORKDIR}/prepare-tree ${PASSWD_TABLE} ${GROUP_TABLE} /tmp' \
    --essential-hook='sh $1/tmp/prepare-tree $1 $1/tmp/${@os.path.basename(d.getVar('PASSWD_TABLE'))} $1/tmp/${@os.path.basename(d.getVar('GROUP_TABLE'))}'"
do_debian_tree[file-checksums] += "${PASSWD_TABLE}:True ${GROUP_TABLE}:True"

do_deploy() {
    install -D -m 0644 ${DEBIAN_TREE} ${DEPLOYDIR}/debian-root.tar
}
addtask deploy after do_debian_tree before do_build
