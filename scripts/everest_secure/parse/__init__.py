"""Files of a target turned into typed values, read as the program on the target reads them."""
