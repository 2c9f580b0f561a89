/* SPDX-License-Identifier: Apache-2.0 */
/* BOOT-02: what U-Boot takes from its stored environment, all of it RAUC's: everything else is as it was compiled. */
#define CFG_ENV_FLAGS_LIST_STATIC "BOOT_ORDER:sw,BOOT_A_LEFT:xw,BOOT_B_LEFT:xw"
