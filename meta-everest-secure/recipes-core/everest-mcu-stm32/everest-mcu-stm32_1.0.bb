# Requirement: RAUC-07
SUMMARY = "Flashes a safety MCU through the serial boot loader of STM32"
DESCRIPTION = "The flash tool for chargers whose safety MCU is an STM32 behind a serial port, and an example for any other: \
EVEREST_MCU_UPDATE_HANDLER = \"/usr/libexec/everest-secure/everest-mcu-stm32\". It speaks the protocol of ST's application note AN3155."
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"

SRC_URI = "file://everest-mcu-stm32 \
           file://everest-mcu-stm32.8"

inherit everest-secure-template

EVEREST_TEMPLATES = "everest-mcu-stm32"
EVEREST_TEMPLATE_VARIABLES = "EVEREST_MCU_STM32_ID EVEREST_MCU_STM32_PORT EVEREST_MCU_STM32_SWITCH"

do_install() {
    install -D -m 0755 ${B}/everest-mcu-stm32 ${D}${libexecdir}/everest-secure/everest-mcu-stm32
    install -D -m 0644 ${WORKDIR}/everest-mcu-stm32.8 ${D}${mandir}/man8/everest-mcu-stm32.8
}
