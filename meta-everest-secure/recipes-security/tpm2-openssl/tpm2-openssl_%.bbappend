require ${@bb.utils.contains('DISTRO_FEATURES', 'everest-secure', 'tpm2-openssl-everest-secure.inc', '', d)}
