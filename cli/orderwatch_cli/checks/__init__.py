"""The checks of `orderwatch doctor`; each yields findings about one part of the stack."""
