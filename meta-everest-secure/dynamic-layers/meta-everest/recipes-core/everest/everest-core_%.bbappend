require ${@bb.utils.contains('DISTRO_FEATURES', 'everest-secure', 'everest-core-everest-secure.inc', '', d)}
