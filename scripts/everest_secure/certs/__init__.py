"""Certificate stores of chargers by themselves: checked wherever they lie, and laid out for provisioning."""
