# Stand-in for OE-Core's useradd.bbclass: USERADD_PARAM, GROUPADD_PARAM and GROUPMEMS_PARAM of USERADD_PACKAGES are read by the harness.
USERADD_PACKAGES ??= ""
