# Changes single expressions of upstream's code, and stops when that code is not what was expected.
#
# Purpose: a requirement may need a line of upstream's changed that no option reaches (ACC-04, TPM-04, CERT-06, CERT-07, LOG-03), or lean on one that must not
# vanish (CERT-05, TPM-02). A patch would carry upstream's code and break on any change around it; here an expression is replaced by another,
# after it was counted.
#
# Usage:
#   SRC_URI += "file://substitutions.json"
#   inherit everest-secure-substitute
#   EVEREST_SUBSTITUTIONS = "substitutions.json"
#
# The file: a list of objects.
#   requirement  ID, as it stands in the message when the code has moved
#   why          one sentence for the reader
#   file         path below S
#   find         expression as it stands in the file
#   times        how often it stands there
#   replace      what takes its place, where @EVEREST_NAME@ is the value of a knob; without it the expression is only looked for
# Where upstream already says what `replace` says, as often as `find` is expected, nothing is left to do.

EVEREST_SUBSTITUTIONS ??= ""
EVEREST_SUBSTITUTIONS[doc] = "File in WORKDIR with the substitutions; empty for none."
EVEREST_SUBSTITUTION_VARIABLES ??= ""
EVEREST_SUBSTITUTION_VARIABLES[doc] = "Variables that may stand between @ signs in 'replace'; whole numbers from 1 on, without unit."

python everest_secure_substitute() {
    import json
    import re
    from pathlib import Path

    if not d.getVar("EVEREST_SUBSTITUTIONS"):
        return
    known = d.getVar("EVEREST_SUBSTITUTION_VARIABLES").split()
    listed = Path(d.getVar("WORKDIR")) / d.getVar("EVEREST_SUBSTITUTIONS")

    def number(match):
        found = d.getVar(match[1]) if match[1] in known else None
        if not re.fullmatch("[1-9][0-9]{0,8}", found or ""):
            bb.fatal("%s is '%s'; set it to a whole number from 1 to 999999999" % (match[1], found))
        return found

    for entry in json.loads(listed.read_text()):
        file = Path(d.getVar("S")) / entry["file"]
        text = file.read_text() if file.is_file() else ""
        wanted = re.sub("@([A-Z0-9_]+)@", number, entry["replace"]) if "replace" in entry else entry["find"]
        shown = {name: " ".join(code.split()) for name, code in (("known", entry["find"]), ("wanted", wanted))}
        times = text.count(entry["find"])
        if times == entry["times"]:
            file.write_text(text.replace(entry["find"], wanted))
            bb.note("%s: %s says '%s'" % (entry["requirement"], entry["file"], shown["wanted"]))
        elif times == 0 and text.count(wanted) == entry["times"]:
            bb.note("%s: %s already says '%s'" % (entry["requirement"], entry["file"], shown["wanted"]))
        else:
            bb.fatal("%s: %s says '%s' %d times where %d are known, so that the code has moved; look whether the requirement still needs \
this change there and mend the entry in %s" % (entry["requirement"], entry["file"], shown["known"], times, entry["times"], listed.name))
}
everest_secure_substitute[doc] = "Replaces expressions of upstream's code as EVEREST_SUBSTITUTIONS says"
everest_secure_substitute[vardeps] += "${EVEREST_SUBSTITUTION_VARIABLES}"

do_patch[postfuncs] += "everest_secure_substitute"
