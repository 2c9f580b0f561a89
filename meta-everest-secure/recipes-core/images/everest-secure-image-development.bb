# Requirements: FS-01, ACC-01, NET-06, RAUC-02, TPM-03
SUMMARY = "Hardened image of a charger in the workshop, which takes development bundles"

require everest-secure-image.inc

EVEREST_IMAGE_PRODUCTION = "0"
