# A hardened kernel, of whatever recipe that inherits kernel-yocto.
#
# Purpose: merges this layer's fragments last (KERN-01, KERN-02, NET-08, BOOT-05), stops the build when the finished configuration says otherwise, and
# gives that configuration to image and checker: /usr/lib/modules/VERSION/config in the image, kernel-config-MACHINE in the deploy directory.
#
# Usage, in a bbappend of the kernel:
#   require ${@bb.utils.contains('DISTRO_FEATURES', 'everest-secure', 'recipes-kernel/linux/everest-secure-kernel.inc', '', d)}
#   EVEREST_KERNEL_FEATURES:append = " everest-secure/tpm-spi.scc"
#
# EVEREST_KERNEL_EXCEPTIONS, a knob, names what a product decides otherwise. The audit of kernel-yocto.bbclass (KMETA_AUDIT_WERROR) leaves out
# options that it takes for no hardware; this one leaves out none.

EVEREST_KERNEL_FEATURES ??= "everest-secure/everest-secure.scc"
EVEREST_KERNEL_FEATURES[doc] = "Features of this layer that the kernel is built with: paths of .scc files in the directory everest-kmeta."

KERNEL_FEATURES:append = " ${EVEREST_KERNEL_FEATURES}"

def everest_secure_kernel_options(feature):
    """Yields (option, value, file) of a feature and all that it includes; the value of an option that must not be set is None."""
    import re
    from pathlib import Path

    for line in Path(feature).read_text().splitlines():
        words = line.split()
        if words[:1] == ["include"]:
            yield from everest_secure_kernel_options(Path(feature).parent / words[1])
        elif words[:1] == ["kconf"]:
            fragment = Path(feature).parent / words[-1]
            for number, text in enumerate(fragment.read_text().splitlines(), 1):
                unset = re.fullmatch(r"# (CONFIG_\w+) is not set", text)
                option = re.fullmatch(r"(CONFIG_\w+)=(.+)", text)
                if unset:
                    yield unset[1], None, fragment.name
                elif option:
                    yield option[1], option[2], fragment.name
                elif text and not text.startswith("# "):
                    bb.fatal("%s:%d is no option: give CONFIG_NAME=value or # CONFIG_NAME is not set" % (fragment, number))

python do_everest_secure_kernel_audit() {
    import re
    from pathlib import Path

    text = (Path(d.getVar("B")) / ".config").read_text()
    have = dict(re.findall(r"^(CONFIG_\w+)=(.+)$", text, re.MULTILINE))
    except_for = d.getVar("EVEREST_KERNEL_EXCEPTIONS").split()
    wanted = [
        option
        for feature in d.getVar("EVEREST_KERNEL_FEATURES").split()
        for option in everest_secure_kernel_options(Path(d.getVar("WORKDIR")) / "everest-kmeta" / feature)
    ]
    if not have or not wanted:
        bb.fatal("KERN-01: the kernel's configuration or EVEREST_KERNEL_FEATURES is empty, so that there is nothing to compare")
    wrong = [
        "%s is %s and %s wants %s" % (name, have.get(name, "not set"), file, value or "it not set")
        for name, value, file in wanted
        if have.get(name) != value and name not in except_for
    ]
    if wrong:
        bb.fatal("KERN-01: the kernel's configuration is not as hardened as asked for (EVEREST_KERNEL_EXCEPTIONS names exceptions):\n%s" % "\n".join(wrong))
}
do_everest_secure_kernel_audit[doc] = "Compares the finished configuration with every fragment of this layer"
addtask everest_secure_kernel_audit after do_configure before do_compile

do_install:append() {
    install -D -m 0644 ${B}/.config ${D}${nonarch_base_libdir}/modules/${KERNEL_VERSION}/config
}
# nooelint: oelint.vars.pkgspecific.FILES,oelint.vars.specific - the kernel names its packages itself
FILES:${KERNEL_PACKAGE_NAME}-base += "${nonarch_base_libdir}/modules/${KERNEL_VERSION}/config"

do_deploy:append() {
    install -m 0644 ${B}/.config ${DEPLOYDIR}/kernel-config-${MACHINE}
}
