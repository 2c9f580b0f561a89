# Fills knobs into configuration files.
#
# Purpose: a file in SRC_URI stays readable as what it is; where a knob decides, it says @EVEREST_NAME@.
#
# Usage:
#   SRC_URI = "file://example.conf"
#   inherit everest-secure-template
#   EVEREST_TEMPLATES = "example.conf"
#   EVEREST_TEMPLATE_VARIABLES = "EVEREST_NAME"
#   do_install() { install -D -m 0644 ${B}/example.conf ${D}${sysconfdir}/example.conf }

EVEREST_TEMPLATES ??= ""
EVEREST_TEMPLATES[doc] = "Files of SRC_URI to fill in; the results lie in B under the same names."
EVEREST_TEMPLATE_VARIABLES ??= ""
EVEREST_TEMPLATE_VARIABLES[doc] = "Variables that may stand between @ signs in these files; each must have a value, which may be empty."
EVEREST_TEMPLATE_NUMBERS ??= ""
EVEREST_TEMPLATE_NUMBERS[doc] = "Those of EVEREST_TEMPLATE_VARIABLES that are whole numbers from 1 on, without unit."

S = "${WORKDIR}"
B = "${WORKDIR}/build"

# Nothing is compiled.
INHIBIT_DEFAULT_DEPS = "1"

# A machine may set knobs of its own.
PACKAGE_ARCH = "${MACHINE_ARCH}"

python do_everest_secure_fill_in() {
    import json
    import re
    from pathlib import Path

    known = d.getVar("EVEREST_TEMPLATE_VARIABLES").split()

    for name in d.getVar("EVEREST_TEMPLATE_NUMBERS").split():
        if not re.fullmatch("[1-9][0-9]{0,8}", d.getVar(name) or ""):
            bb.fatal("%s is '%s'; set it to a whole number from 1 to 999999999" % (name, d.getVar(name)))

    def value(match):
        found = d.getVar(match[1]) if match[1] in known else None
        if found is None:
            bb.fatal("@%s@ has no value: add it to EVEREST_TEMPLATE_VARIABLES and set it" % match[1])
        return found

    for name in d.getVar("EVEREST_TEMPLATES").split():
        text = (Path(d.getVar("WORKDIR")) / name).read_text()
        filled = re.sub(r"@([A-Z0-9_]+)@", value, text)
        if name.endswith(".json"):
            try:
                json.loads(filled)
            except ValueError as error:
                bb.fatal("%s is no JSON once it is filled in (%s); a knob in it holds a quote or a backslash" % (name, error))
        (Path(d.getVar("B")) / name).write_text(filled)
}
do_everest_secure_fill_in[doc] = "Fills knobs into EVEREST_TEMPLATES"
do_everest_secure_fill_in[cleandirs] = "${B}"
do_everest_secure_fill_in[vardeps] += "${EVEREST_TEMPLATE_VARIABLES}"
addtask everest_secure_fill_in after do_patch before do_configure
