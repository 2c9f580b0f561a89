# Stand-in for OE-Core's pkgconfig.bbclass: nothing is compiled here.
