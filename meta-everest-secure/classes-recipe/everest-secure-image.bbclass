# An image of a hardened charger.
#
# Purpose: read-only root (FS-01), no way to log in (ACC-01), no program that raises privileges (FS-05), the release file
# with the real version (LOG-04), and a mark by which a checker knows the image. For product images as for this layer's own.
#
# Usage:
#   inherit everest-secure-image
#   IMAGE_INSTALL += "my-application"
#
# An image with a feature that opens a door is skipped with its name (EXTRA_IMAGE_FEATURES included). Image QA repeats what can be seen in the
# finished root; `everest-secure check` on the artefact is the authority.

inherit core-image everest-secure-${EVEREST_BOOT_CHAIN} everest-secure-disk everest-secure-units features_check

REQUIRED_DISTRO_FEATURES = "everest-secure rauc seccomp systemd usrmerge"

# FS-01
IMAGE_FEATURES += "read-only-rootfs"
REQUIRED_IMAGE_FEATURES = "read-only-rootfs"

# ACC-01: all six debug features; NET-06: no login over the network, no tools of a developer
CONFLICT_IMAGE_FEATURES = "allow-empty-password allow-root-login debug-tweaks empty-root-password post-install-logging serial-autologin-root"
CONFLICT_IMAGE_FEATURES += "ssh-server-dropbear ssh-server-openssh nfs-server package-management"
CONFLICT_IMAGE_FEATURES += "dbg-pkgs dev-pkgs eclipse-debug ptest-pkgs src-pkgs staticdev-pkgs tools-debug tools-profile tools-sdk tools-testapps"

# FS-02, BOOT-01: a root slot, what starts it, and the disk of a new machine.
IMAGE_FSTYPES = "${EVEREST_SLOT_FSTYPE} ${EVEREST_BOOT_FSTYPE} wic"

EVEREST_IMAGE_VARIANT ??= "everest-secure"
EVEREST_IMAGE_VARIANT[doc] = "VARIANT_ID in os-release: says that the image was made by this class."
EVEREST_RELEASE_FILE ??= "${sysconfdir}/everest/everest_release.json"
EVEREST_RELEASE_FILE[doc] = "Where the image says which EVerest it carries (LOG-04)."

ROOTFS_POSTPROCESS_COMMAND += "everest_secure_drop_setuid everest_secure_machine_id everest_secure_release_file everest_secure_mark"
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

python everest_secure_release_file() {
    import json
    from datetime import datetime, timezone
    from pathlib import Path

    stamp = int(d.getVar("REPRODUCIBLE_TIMESTAMP_ROOTFS") or d.getVar("SOURCE_DATE_EPOCH") or 0)
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
    kept = [line for line in file.read_text().splitlines() if line.partition("=")[0] not in marks]
    file.write_text("\n".join(kept + ["%s=%s" % mark for mark in marks.items()]) + "\n")
}
everest_secure_mark[doc] = "Marks os-release with variant, image and version"

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
