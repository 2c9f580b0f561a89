require ${@bb.utils.contains('DISTRO_FEATURES', 'everest-secure', 'linux-yocto-everest-secure.inc', '', d)}
