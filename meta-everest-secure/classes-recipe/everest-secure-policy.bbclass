# Refuses a recipe that contradicts what the layer stands for, before the first task runs.
#
# Purpose: a build that cannot end well ends at once, with one sentence that begins with the requirement's ID and says what to do: ACC-01, BIN-02, BOOT-01,
# FS-01, NET-03, NET-06, OCPP-01, RAUC-01, RAUC-02, RAUC-03, SUP-03. The recipe is skipped, not the parse: whoever builds something else in the same workspace, or
# only parses, is not in the way of it. everest-secure-image and everest-secure-bundle inherit this.
#
# Usage:
#   inherit everest-secure-policy
#   EVEREST_POLICY += "everest_policy.image.features"
#
# A function takes the datastore and returns a sentence or nothing; it is one of lib/everest_policy or a `def` of a class or a recipe. BitBake reads such
# a recipe anew at each start, as what lies outside of it (keys, dates, checkouts) changes.

inherit features_check

REQUIRED_DISTRO_FEATURES += "everest-secure"

# BOOT-01, RAUC-02 and others: nothing is half on
EVEREST_POLICY ?= "everest_policy.switches.known"
EVEREST_POLICY[doc] = "Functions that look at the configuration."
EVEREST_POLICY_AT_START ?= ""
EVEREST_POLICY_AT_START[doc] = "Functions that look at the build host; not asked again while tasks run."
EVEREST_POLICY_CERTIFICATES ?= ""
EVEREST_POLICY_CERTIFICATES[doc] = "Variables that name PEM files with certificates, which must be in date."
EVEREST_POLICY_KEYS ?= ""
EVEREST_POLICY_KEYS[doc] = "KEY:CERTIFICATE, two variables that name PEM files which belong together."
EVEREST_POLICY_CHAINS ?= ""
EVEREST_POLICY_CHAINS[doc] = "CERTIFICATE:INTERMEDIATE:KEYRING, three variables that name PEM files; the chain must end in the keyring."
EVEREST_POLICY_RELEASE ?= ""
EVEREST_POLICY_RELEASE[doc] = "Variables that name PEM files with certificates, none of them of a development authority in a production build."

EVEREST_IMAGE_PRODUCTION ?= "${EVEREST_PRODUCTION}"
EVEREST_IMAGE_PRODUCTION[doc] = "1 in the recipe of an image or a bundle for the field, 0 in one for the workshop; where it is not said, what is being built."

BB_DONT_CACHE = "1"

python () {
    asked = d.getVar("EVEREST_POLICY").split()
    if not d.getVar("BB_WORKERCONTEXT"):
        asked += d.getVar("EVEREST_POLICY_AT_START").split()
    for function in asked:
        refusal = d.expand("${@%s(d)}" % function)
        if refusal:
            raise bb.parse.SkipRecipe(refusal)
}
