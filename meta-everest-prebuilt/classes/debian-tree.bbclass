# A tree of Debian packages, made by mmdebstrap.
#
# Purpose: whoever builds needs no root: mmdebstrap works in a user namespace, and the tree stays in a tar, where owners cannot get lost. The archive is
# the one that this machine's apt uses, or that EVEREST_DEBIAN_ARCHIVE names.
#
# Usage:
#   inherit debian-tree
#   DEBIAN_PACKAGES = "systemd udev"
#   do_install() { tar -C ${D} -xf ${DEBIAN_TREE} }

DEBIAN_PACKAGES ??= ""
DEBIAN_PACKAGES[doc] = "Packages of the tree; what they depend on comes with them."
DEBIAN_VARIANT ??= "essential"
DEBIAN_VARIANT[doc] = "Variant of mmdebstrap(1): essential configures the packages, extract only unpacks them."
DEBIAN_OPTIONS ??= ""
DEBIAN_OPTIONS[doc] = "Options of mmdebstrap(1), as a shell would read them. A hook sees no file of the build but what copy-in puts into the tree."
# nooelint: oelint.vars.pathhardcode.docdir,oelint.vars.pathhardcode.infodir,oelint.vars.pathhardcode.mandir - Debian's paths
DEBIAN_LEFT_OUT ?= "/usr/share/doc/* /usr/share/info/* /usr/share/lintian/* /usr/share/locale/* /usr/share/man/*"
DEBIAN_LEFT_OUT[doc] = "Paths that are never unpacked."
DEBIAN_TREE = "${WORKDIR}/tree.tar"
DEBIAN_TREE[doc] = "The tree."

inherit nopackages

INHIBIT_DEFAULT_DEPS = "1"
LICENSE = "CLOSED"

python do_debian_tree() {
    import shlex
    import subprocess
    import sys

    sys.path.insert(0, d.expand("${EVEREST_PREBUILT_LAYER}/../scripts"))
    from everest_secure.errors import UserError
    from everest_secure.reference.archive import KEYRING, RELEASE, find_archive

    # The ids that mmdebstrap works with may not enter a home that is closed to others: they work elsewhere.
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/", "TMPDIR": "/var/tmp"}
    environment.update((name, d.getVar(name)) for name in ("http_proxy", "https_proxy", "no_proxy") if d.getVar(name))
    try:
        archive = find_archive(environ={"EVEREST_DEBIAN_ARCHIVE": d.getVar("EVEREST_DEBIAN_ARCHIVE") or ""})
    except UserError as error:
        bb.fatal(str(error))
    command = ["mmdebstrap", "--mode=unshare", "--format=tar", "--variant=" + d.getVar("DEBIAN_VARIANT"), "--keyring=%s" % KEYRING]
    command += ["--include=" + ",".join(sorted(set(d.getVar("DEBIAN_PACKAGES").split())))]
    # Packages are unpacked for a tar: what a power failure would leave of them does not matter.
    command += ["--dpkgopt=force-unsafe-io"]
    command += ["--dpkgopt=path-exclude=" + path for path in d.getVar("DEBIAN_LEFT_OUT").split()]
    command += [*shlex.split(d.getVar("DEBIAN_OPTIONS")), RELEASE, d.getVar("DEBIAN_TREE"), "-"]
    try:
        done = subprocess.run(command, input=archive.sources(), env=environment, cwd="/", capture_output=True, text=True, check=False)
    except FileNotFoundError:
        bb.fatal("the program 'mmdebstrap' is not installed; install the Debian packages mmdebstrap and uidmap and try again")
    bb.note(done.stderr)
    if done.returncode:
        said = next((line for line in done.stderr.splitlines() if "error" in line or line.startswith("E:")), "it said nothing")
        bb.fatal("mmdebstrap made no tree (%.200s); check the network, apt's sources and this user's ranges in /etc/subuid" % said)
}
do_debian_tree[doc] = "Makes DEBIAN_TREE from DEBIAN_PACKAGES"
# nooelint: oelint.task.network - apt checks what it downloads
do_debian_tree[network] = "1"
do_debian_tree[vardepsexclude] += "EVEREST_DEBIAN_ARCHIVE http_proxy https_proxy no_proxy"
do_debian_tree[dirs] = "${B}"
do_debian_tree[vardeps] += "DEBIAN_PACKAGES DEBIAN_VARIANT DEBIAN_OPTIONS DEBIAN_LEFT_OUT"
addtask debian_tree after do_patch before do_configure
