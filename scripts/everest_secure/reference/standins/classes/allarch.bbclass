# Stand-in for OE-Core's allarch.bbclass.
PACKAGE_ARCH = "all"
