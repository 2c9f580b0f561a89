require ${@bb.utils.contains('DISTRO_FEATURES', 'everest-secure', 'busybox-everest-secure.inc', '', d)}
