require ${@bb.utils.contains('DISTRO_FEATURES', 'everest-secure', 'rauc-conf-everest-secure.inc', '', d)}
