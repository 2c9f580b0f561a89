# Requirements: RAUC-02, RAUC-09
SUMMARY = "Development authority that a development image takes updates from"

require everest-keyring.inc

EVEREST_KEYRING = "${EVEREST_RAUC_KEYRING_DEVELOPMENT}"
EVEREST_KEYRING_KNOB = "EVEREST_RAUC_KEYRING_DEVELOPMENT"
EVEREST_KEYRING_DEVELOPMENT = "1"

RCONFLICTS:${PN} = "everest-keyring"
