# Requirements: RAUC-02, RAUC-09
SUMMARY = "Release authority that a production image takes updates from"

require everest-keyring.inc

EVEREST_KEYRING = "${EVEREST_RAUC_KEYRING}"
EVEREST_KEYRING_KNOB = "EVEREST_RAUC_KEYRING"
EVEREST_KEYRING_DEVELOPMENT = "0"

RCONFLICTS:${PN} = "everest-keyring-development"
