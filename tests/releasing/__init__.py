"""Tests of the programs that release packages."""
