"""What the tests of processes share, whichever machine these run on."""
