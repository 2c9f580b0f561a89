# Stand-in for OE-Core's cmake.bbclass: nothing is compiled here.
