# An image of a hardened charger.
#
# Purpose: read-only root (FS-01), no way to log in (ACC-01), no program that raises privileges (FS-05), the release file
# with the real version (LOG-04), and a mark by which a checker knows the image. For product images as for this layer's own.
#
# Usage:
#   inherit everest-secure-image
#   IMAGE_INSTALL += "my-application"
#
# A contradiction skips the image before the first task runs: everest-secure-policy. Image QA repeats what can be seen in the finished root;
# `everest-secure check` on the artefact is the authority.
#
# EVEREST_PRODUCTION decides whether an image is for the field or for the workshop: keyring and VARIANT_ID follow it (RAUC-02).

inherit core-image everest-secure-units everest-secure-policy
inherit_defer everest-secure-${EVEREST_BOOT_CHAIN} everest-secure-disk

REQUIRED_DISTRO_FEATURES = "everest-secure rauc seccomp systemd usrmerge"

# FS-01
IMAGE_FEATURES += "read-only-rootfs"

# ACC-01, BIN-02, FS-01, NET-03, NET-06: what no image has; RAUC-02: what only one of the two variants has
EVEREST_POLICY += "everest_policy.image.features everest_policy.image.packages everest_policy.image.variant"
# OCPP-01, FS-02, FS-04: what a production build says; SUP-03, RAUC-02: where its sources and its trust come from
EVEREST_POLICY += "everest_policy.production.verity everest_policy.production.encryption everest_policy.production.knobs"
EVEREST_POLICY_AT_START += "everest_policy.checkout.everest everest_policy.material.certificates everest_policy.material.keys"
EVEREST_POLICY_AT_START += "everest_policy.material.development everest_policy.token.pins"
EVEREST_POLICY_CERTIFICATES += "${EVEREST_IMAGE_KEYRING_KNOB} ${@bb.utils.contains('EVEREST_SECURE_BOOT', '1', 'EVEREST_SECURE_BOOT_CERT', '', d)}"
EVEREST_POLICY_KEYS += "${@bb.utils.contains('EVEREST_SECURE_BOOT', '1', 'EVEREST_SECURE_BOOT_KEY:EVEREST_SECURE_BOOT_CERT', '', d)}"
EVEREST_POLICY_RELEASE += "${EVEREST_POLICY_CERTIFICATES}"

# NET-03, NET-06, BIN-02: not even as what another package wants
PACKAGE_EXCLUDE += "${@' '.join(everest_policy.image.PACKAGES)}"

EVEREST_IMAGE_VARIANT ??= "everest-secure${@bb.utils.contains('EVEREST_PRODUCTION', '1', '', '-development', d)}"
EVEREST_IMAGE_VARIANT[doc] = "VARIANT_ID in os-release; in the workshop it ends with -development."
EVEREST_IMAGE_KEYRING_KNOB = "EVEREST_RAUC_KEYRING${@bb.utils.contains('EVEREST_PRODUCTION', '1', '', '_DEVELOPMENT', d)}"
EVEREST_IMAGE_KEYRING_KNOB[doc] = "Knob that names the trust anchors of the image."

# LOG-04: os-release says which image this is
IMAGE_INSTALL:append = " os-release"

# FS-02, BOOT-01: a root slot, what starts it, and the disk of a new machine.
IMAGE_FSTYPES = "${EVEREST_SLOT_FSTYPE} ${EVEREST_BOOT_FSTYPE} wic"

EVEREST_RELEASE_FILE ??= "${sysconfdir}/everest/everest_release.json"
EVEREST_RELEASE_FILE[doc] = "Where the image says which EVerest it carries (LOG-04)."

# RAUC-02
EVEREST_IMAGE_KEYRING ??= "${@'everest-keyring' if d.getVar('EVEREST_PRODUCTION') == '1' else 'everest-keyring-development'}"
EVEREST_IMAGE_KEYRING[doc] = "Package with the trust anchors for updates: that of release in a production build, else that of development."
IMAGE_INSTALL:append = " ${EVEREST_IMAGE_KEYRING}"

ROOTFS_POSTPROCESS_COMMAND += "everest_secure_drop_setuid everest_secure_machine_id everest_secure_fstab everest_secure_release_file everest_secure_mark"
IMAGE_QA_COMMANDS += "everest_secure_qa_accounts everest_secure_qa_logins"
ERROR_QA:append = " everest-secure"

# FS-05: nobody logs in, so that nobody needs su, passwd or mount as another user.
python everest_secure_drop_setuid() {
    import os
    import stat

    root = d.getVar("IMAGE_ROOTFS")
    kept = {root + path for path in d.getVar("EVEREST_SETUID_KEPT").split()}
    for directory, _, names in os.walk(root):
        for file in (os.path.join(directory, name) for name in names):
            mode = os.lstat(file).st_mode
            if stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID) and file not in kept:
                os.chmod(file, stat.S_IMODE(mode) & ~(stat.S_ISUID | stat.S_ISGID))
}
everest_secure_drop_setuid[doc] = "Takes setuid and setgid bits from all files but EVEREST_SETUID_KEPT"

# FS-01: empty and not missing or "uninitialized", with which every boot of a read-only root is a first boot (machine-id(5)).
everest_secure_machine_id() {
    : > ${IMAGE_ROOTFS}${sysconfdir}/machine-id
    chmod 0444 ${IMAGE_ROOTFS}${sysconfdir}/machine-id
}
everest_secure_machine_id[doc] = "Leaves the machine's id to the machine, and makes no boot its first"

# FS-03: OE-Core's fstab has a tmpfs below /var, to which /var/tmp leads, and lets programs run from it.
everest_secure_fstab() {
    if [ -e ${IMAGE_ROOTFS}${sysconfdir}/fstab ]; then
        sed -E -i 's,^(tmpfs[[:space:]]+/var/volatile[[:space:]]+tmpfs[[:space:]]+)defaults,\1nodev\,nosuid\,noexec\,mode=0755,' ${IMAGE_ROOTFS}${sysconfdir}/fstab
    fi
}
everest_secure_fstab[doc] = "Mounts what is volatile below /var as /var itself is mounted"

python everest_secure_release_file() {
    import json
    from datetime import datetime, timezone
    from pathlib import Path

    stamp = everest_policy.release.date(d)
    release = {
        "channel": d.getVar("EVEREST_UPDATE_CHANNEL"),
        "datetime": datetime.fromtimestamp(stamp, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "version": d.getVar("EVEREST_VERSION"),
        "components": [
            {"name": "everest-core", "version": d.getVar("EVEREST_VERSION")},
            {"name": d.getVar("PN"), "version": d.getVar("EVEREST_IMAGE_VERSION")},
        ],
    }
    file = Path(d.getVar("IMAGE_ROOTFS") + d.getVar("EVEREST_RELEASE_FILE"))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(release, indent=2) + "\n")
    file.chmod(0o644)
}
everest_secure_release_file[doc] = "Writes EVEREST_RELEASE_FILE"

python everest_secure_mark() {
    from pathlib import Path

    marks = {
        "VARIANT_ID": d.getVar("EVEREST_IMAGE_VARIANT"),
        "IMAGE_ID": d.getVar("PN"),
        "IMAGE_VERSION": d.getVar("EVEREST_IMAGE_VERSION"),
    }
    file = Path(d.getVar("IMAGE_ROOTFS") + d.getVar("nonarch_libdir")) / "os-release"
    if not file.is_file():
        bb.fatal("LOG-04: the image has no %s/os-release; install the package os-release" % d.getVar("nonarch_libdir"))
    kept = [line for line in file.read_text().splitlines() if line.partition("=")[0] not in marks]
    file.write_text("\n".join(kept + ["%s=%s" % mark for mark in marks.items()]) + "\n")
}
everest_secure_mark[doc] = "Marks os-release with variant, image and version"

# FS-05: of what it copies OE-Core gives licence texts to root, and the list belongs to whoever builds (license_image.bbclass).
ROOTFS_POSTUNINSTALL_COMMAND += "everest_secure_own_licences"

everest_secure_own_licences() {
    if [ -d ${IMAGE_ROOTFS}${datadir}/common-licenses ]; then
        chown -R -h root:root ${IMAGE_ROOTFS}${datadir}/common-licenses
    fi
}
everest_secure_own_licences[doc] = "Gives the list of licences to root"

python everest_secure_qa_accounts() {
    from pathlib import Path

    import oe.qa

    for name, column in (("passwd", 1), ("shadow", 1)):
        for line in (Path(d.getVar("IMAGE_ROOTFS")) / "etc" / name).read_text().splitlines():
            fields = line.split(":")
            if not fields[column].startswith(("*", "!")) and not (name == "passwd" and fields[column] == "x"):
                oe.qa.handle_error("everest-secure", "ACC-01: account '%s' in /etc/%s is not locked" % (fields[0], name), d)
}
everest_secure_qa_accounts[doc] = "Refuses an account that is not locked"

python everest_secure_qa_logins() {
    from pathlib import Path

    import oe.qa

    root = Path(d.getVar("IMAGE_ROOTFS"))
    for server in ("sshd", "dropbear", "telnetd", "in.telnetd", "rlogind"):
        if (root / "usr/sbin" / server).exists():
            oe.qa.handle_error("everest-secure", "NET-06: /usr/sbin/%s lets somebody log in over the network" % server, d)
    if not (root / "etc/systemd/system/debug-shell.service").is_symlink():
        oe.qa.handle_error("everest-secure", "NET-07: debug-shell.service is not masked; install everest-unit-policy", d)
}
everest_secure_qa_logins[doc] = "Refuses a login server and a debug shell"
