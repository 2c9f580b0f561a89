require ${@bb.utils.contains('DISTRO_FEATURES', 'everest-secure', 'everest-secure-board.inc', '', d)}
