# Stand-in for OE-Core's nopackages.bbclass.
PACKAGES = ""
