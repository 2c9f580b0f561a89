# Decides what EVerest is built with. For everest-core alone.
#
# Purpose: the modules of the shipped configuration and no others (BIN-02), no admin panel (NET-03), keys in the TPM (TPM-02), names in signing
# requests (CERT-05).
#
# Usage: inherit everest-secure-everest in the recipe's append.
#
# A setting that contradicts these skips the recipe with one sentence, so that an image which needs it is not built. A module that the checkout
# does not have stops the build: CMake would leave it out without a word.

inherit everest-secure-configuration

EVEREST_MODULES = "${@' '.join(dict.fromkeys(everest_secure_modules(d) + d.getVar('EVEREST_EXTRA_MODULES').split()))}"
EVEREST_MODULES[vardepvalue] = "${EVEREST_MODULES}"
EVEREST_MODULES[doc] = "Types of the modules that are built: those of EVEREST_CONFIG and EVEREST_EXTRA_MODULES (BIN-02)."

EVEREST_CSR_OPTIONS = "\
    ${@'-DCSR_DNS_NAME=${EVEREST_CSR_DNS_NAME}' if d.getVar('EVEREST_CSR_DNS_NAME') else ''} \
    ${@'-DCSR_IP_ADDRESS=${EVEREST_CSR_IP_ADDRESS}' if d.getVar('EVEREST_CSR_IP_ADDRESS') else ''} \
"
EVEREST_CSR_OPTIONS[doc] = "CMake's definitions of the names in signing requests; none by default (CERT-05)."

# BIN-02
python everest_secure_modules_exist() {
    from pathlib import Path

    there = {manifest.parent.name: manifest.parent for manifest in Path(d.getVar("S")).glob("modules/**/manifest.yaml")}
    unknown = [name for name in d.getVar("EVEREST_MODULES").split() if name not in [*there, *d.getVar("EVEREST_OWN_MODULES").split()]]
    if unknown:
        bb.fatal("BIN-02: EVEREST_CONFIG or EVEREST_EXTRA_MODULES names the module %s, which this release of EVerest does not have; choose \
another (OCPPmulti is younger than 2026.02.1), or add it to EVEREST_OWN_MODULES where a recipe of the product builds it" % unknown[0])
    python = [name for name in d.getVar("EVEREST_MODULES").split() if name in there and (there[name] / "module.py").exists()]
    if python and "python" not in d.getVar("PACKAGECONFIG").split():
        bb.fatal("BIN-02: the module %s is written in Python, whose interpreter is not in the image; set EVEREST_PYTHON to 1 or leave it out" % python[0])
}
everest_secure_modules_exist[doc] = "Refuses a module that neither EVerest nor the product has"
do_patch[postfuncs] += "everest_secure_modules_exist"

python () {
    import re

    settings = (d.getVar("PACKAGECONFIG") or "").split()
    if "admin-panel" in settings:
        raise bb.parse.SkipRecipe("NET-03: the admin panel lets everyone on the network change the configuration; take 'admin-panel' out of \
PACKAGECONFIG of everest-core")
    if "tpm2" not in settings:
        raise bb.parse.SkipRecipe("TPM-02: without 'tpm2' in PACKAGECONFIG of everest-core, EVerest keeps its keys in files; leave it in, and the distro \
feature of that name")
    label = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    number = "(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])"
    names = {
        "EVEREST_CSR_DNS_NAME": (r"(?=.{1,253}$)%s(\.%s)*" % (label, label), "a DNS name"),
        "EVEREST_CSR_IP_ADDRESS": (r"%s(\.%s){3}" % (number, number), "an IPv4 address"),
    }
    for name, (form, what) in names.items():
        if d.getVar(name) and not re.fullmatch(form, d.getVar(name)):
            raise bb.parse.SkipRecipe("CERT-05: %s is '%s', which is not %s; correct it or leave it empty" % (name, d.getVar(name), what))
}
