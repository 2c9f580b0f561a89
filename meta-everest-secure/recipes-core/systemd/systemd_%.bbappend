require ${@bb.utils.contains('DISTRO_FEATURES', 'everest-secure', 'systemd-everest-secure.inc', '', d)}
