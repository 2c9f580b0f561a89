require ${@bb.utils.contains('EVEREST_BOOT_CHAIN', 'fit', bb.utils.contains('DISTRO_FEATURES', 'everest-secure', 'recipes-bsp/u-boot/everest-secure-u-boot.inc', '', d), '', d)}
