# Stand-in for OE-Core's meson.bbclass: nothing is compiled here.
