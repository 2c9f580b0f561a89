# Stand-in for OE-Core's native.bbclass: a tool of the build, which makes no package.
PACKAGES = ""
