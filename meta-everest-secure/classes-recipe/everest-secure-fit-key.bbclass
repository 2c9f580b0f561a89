# Gives mkimage the secure boot key as it wants it: a directory with NAME.key and NAME.crt.
#
# Purpose: image and U-Boot sign and verify with one pair, EVEREST_SECURE_BOOT_KEY and EVEREST_SECURE_BOOT_CERT (BOOT-01). The directory has links alone: the
# key is copied nowhere, and no variable holds it.
#
# Usage: inherit this class, call everest_secure_fit_keys(d), and add everest_secure_fit_key_checksums(d) to the task's file-checksums.

UBOOT_SIGN_KEYNAME ?= "everest"
UBOOT_SIGN_KEYDIR ?= "${WORKDIR}/everest-keys"

def everest_secure_fit_keys(d):
    """The directory with the links; stops the build when there is no RSA-4096 pair to link to."""
    import os

    directory = d.getVar("UBOOT_SIGN_KEYDIR")
    bb.utils.mkdirhier(directory)
    for name, suffix in (("EVEREST_SECURE_BOOT_KEY", "key"), ("EVEREST_SECURE_BOOT_CERT", "crt")):
        file = d.getVar(name) or ""
        if not os.access(file, os.R_OK):
            bb.fatal("BOOT-01: %s '%s' is no readable file; set EVEREST_SECURE_BOOT_KEY and EVEREST_SECURE_BOOT_CERT to the PEM files of an RSA-4096 pair, "
                     "or EVEREST_SECURE_BOOT to 0 to do without secure boot" % (name, file))
        link = os.path.join(directory, "%s.%s" % (d.getVar("UBOOT_SIGN_KEYNAME"), suffix))
        bb.utils.remove(link)
        os.symlink(file, link)
    return directory

def everest_secure_fit_key_checksums(d):
    names = ("EVEREST_SECURE_BOOT_KEY", "EVEREST_SECURE_BOOT_CERT") if bb.utils.to_boolean(d.getVar("EVEREST_SECURE_BOOT")) else ()
    return " ".join(d.getVar(name) + ":True" for name in names if d.getVar(name))
